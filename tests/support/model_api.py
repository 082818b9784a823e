"""A stand-in for the model behind an agent: a server on loopback that replies from a script."""

import contextlib
import http.server
import json
import socketserver
import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

Json = dict[str, Any]

INPUT_TOKENS, OUTPUT_TOKENS = 100, 20  # that every message of the script is said to cost


class Thinking(NamedTuple):
    """What the model thinks."""

    text: str

    def start(self) -> Json:
        return {"type": "thinking", "thinking": "", "signature": ""}

    def deltas(self) -> list[Json]:
        return [
            {"type": "thinking_delta", "thinking": self.text},
            {"type": "signature_delta", "signature": "c2lnbmVk"},
        ]


class Text(NamedTuple):
    """What the model says."""

    text: str

    def start(self) -> Json:
        return {"type": "text", "text": ""}

    def deltas(self) -> list[Json]:
        middle = len(self.text) // 2
        pieces = (self.text[:middle], self.text[middle:])
        return [{"type": "text_delta", "text": piece} for piece in pieces]


class ToolUse(NamedTuple):
    """What the model wants a tool of the agent to do."""

    id: str
    name: str
    input: Json

    def start(self) -> Json:
        return {"type": "tool_use", "id": self.id, "name": self.name, "input": {}}

    def deltas(self) -> list[Json]:
        return [{"type": "input_json_delta", "partial_json": json.dumps(self.input)}]


Message = Sequence[Thinking | Text | ToolUse]


class ModelApi:
    """Speaks Anthropic's Messages API to one conversation.

    The reply is the message of the script that the conversation has not had so far, so an agent
    that asks twice is told the same. `requests` has what was asked, in order; `strangers` the
    method and path of what has no answer here, and so got 404: other paths, the end of the script.
    """

    def __init__(self, script: Sequence[Message]) -> None:
        self.script = script
        self.requests: list[Json] = []
        self.strangers: list[str] = []
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """The address for the agent to ask."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def told(self, tool_use_id: str) -> Json:
        """Return the result of a tool, as the agent passed it on to the model."""
        blocks = (
            block
            for message in self.requests[-1]["messages"]
            for block in message["content"]
            if isinstance(block, dict)
        )
        return next(block for block in blocks if block.get("tool_use_id") == tool_use_id)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    def __init__(self, api: ModelApi) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api = api


class _Handler(http.server.BaseHTTPRequestHandler):
    # HTTP/1.0, as the base class has it: each answer ends with its connection.
    server: _Server
    timeout = 10

    def do_GET(self) -> None:
        self._stranger()

    def do_HEAD(self) -> None:
        self._stranger()

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        script = self.server.api.script
        had = sum(message["role"] == "assistant" for message in request.get("messages", ()))
        if self.path.partition("?")[0] != "/v1/messages" or had >= len(script):
            self._stranger()
            return
        self.server.api.requests.append(request)
        self._answer(200, "text/event-stream")
        with contextlib.suppress(ConnectionError):  # the agent may be stopped meanwhile
            for event in _stream(f"msg_{had}", request["model"], script[had]):
                self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _stranger(self) -> None:
        self.server.api.strangers.append(f"{self.command} {self.path}")
        self._answer(404, "application/json")

    def _answer(self, status: int, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.end_headers()


def _stream(message_id: str, model: str, message: Message) -> Iterator[Json]:
    yield {"type": "message_start", "message": _opened(message_id, model)}
    for index, block in enumerate(message):
        yield {"type": "content_block_start", "index": index, "content_block": block.start()}
        for delta in block.deltas():
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    wants_tool = any(isinstance(block, ToolUse) for block in message)
    delta = {"stop_reason": "tool_use" if wants_tool else "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": OUTPUT_TOKENS}}
    yield {"type": "message_stop"}


def _opened(message_id: str, model: str) -> Json:
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": 1},
    }
