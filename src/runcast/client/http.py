"""A small synchronous client of the runs API."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx2
import msgspec

from runcast.client.errors import ApiError, ClientError, NoServer

RUNS = "/api/v1/runs"
_ANSWER_S = 30.0  # a server that says nothing for this long is as good as gone
# The server sends a comment at least every 15 s, so a silent stream is a dead connection.
_STREAM_TIMEOUT = httpx2.Timeout(10.0, read=60.0)


class Client:
    """Talks to the server at `base_url`; one connection pool, for one thread.

    What is not an http address raises ClientError `bad_address`. Every method raises ApiError if
    the server refuses and NoServer if nobody answers. A run is the JSON object that the API gives.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = _address(base_url)
        self._http = httpx2.Client(
            base_url=self.base_url,
            # A proxy of the environment would be asked for our own loopback.
            trust_env=False,
            # Loading the certificates takes longer than most requests to a plain address.
            verify=self.base_url.startswith("https:"),
            timeout=_ANSWER_S,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def start_run(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Submit a run; it is durably queued when this returns."""
        return self._run("POST", RUNS, json=spec)

    def get_run(self, run_id: str, wait_s: float = 0) -> dict[str, Any]:
        """Return a run as it stands, at its end, or after `wait_s`, whichever is first."""
        params = {"wait_s": wait_s} if wait_s else {}
        return self._run("GET", run_path(run_id), params=params, timeout=wait_s + _ANSWER_S)

    def list_runs(self, limit: int, **filters: str) -> list[dict[str, Any]]:
        """List the newest runs that match, newest first, over as many pages as it takes."""
        runs: list[dict[str, Any]] = []
        token: str | None = None
        while len(runs) < limit:
            params: dict[str, Any] = {**filters, "limit": min(limit - len(runs), 500)}
            if token is not None:
                params["page_token"] = token
            page = self._json("GET", RUNS, params=params)
            runs += page["runs"]
            token = page.get("next_page_token")
            if token is None:
                break
        return runs

    def cancel(self, run_id: str) -> dict[str, Any]:
        """Ask a run to end; return it as it stands. It has ended once its status says so."""
        return self._run("POST", f"{run_path(run_id)}/cancel")

    def send(
        self, run_id: str, text: str, *, newline: bool = True, eof: bool = False
    ) -> dict[str, Any]:
        """Give a run text to read, after all that was sent before; `eof` ends its input.

        The text is durably queued when this returns.
        """
        body = {"text": text, "newline": newline, "eof": eof}
        return self._run("POST", f"{run_path(run_id)}/input", json=body)

    def approvals(self, run_id: str) -> list[dict[str, Any]]:
        """Return what a run has asked so far, in order, each with its `state`."""
        asked: list[dict[str, Any]] = self._json("GET", f"{run_path(run_id)}/approvals")[
            "approvals"
        ]
        return asked

    def approve(
        self,
        run_id: str,
        approval_id: str,
        decision: Literal["allow", "deny"],
        message: str | None = None,
    ) -> dict[str, Any]:
        """Answer an approval; ApiError if it was answered before, by whoever it was."""
        body = {"decision": decision} | ({} if message is None else {"message": message})
        path = f"{run_path(run_id)}/approvals/{quote(approval_id, safe='')}"
        return self._run("POST", path, json=body)

    def agents(self) -> list[dict[str, Any]]:
        """Return the agents that runs can be started with."""
        known: list[dict[str, Any]] = self._json("GET", "/api/v1/agents")["agents"]
        return known

    def tools(self) -> list[dict[str, Any]]:
        """Return the tools that runs can be started with, and the arguments they take."""
        known: list[dict[str, Any]] = self._json("GET", "/api/v1/tools")["tools"]
        return known

    def delete(self, run_id: str) -> None:
        """Remove an ended run with its log and output, for good."""
        self._send("DELETE", run_path(run_id))

    def prune(self, limits: Mapping[str, Any]) -> int:
        """Remove the ended runs beyond `max_age`, `max_count` or `max_bytes`; return how many."""
        removed: int = self._json("POST", "/api/v1/prune", json=limits)["removed"]
        return removed

    def status(self) -> dict[str, Any]:
        """Return what the server says of itself."""
        return self._json("GET", "/api/v1/status")

    @contextmanager
    def open_stream(
        self, path: str, params: Mapping[str, Any], last_id: str
    ) -> Iterator[httpx2.Response]:
        """Open an event stream, resuming behind `last_id` if there is one."""
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        with self._guard():
            request = self._http.stream(
                "GET", path, params=dict(params), headers=headers, timeout=_STREAM_TIMEOUT
            )
            with request as response:
                if response.is_error:
                    response.read()
                    raise _refusal(response)
                yield response

    def _run(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        run: dict[str, Any] = self._json(method, path, **request)["run"]
        return run

    def _json(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        response = self._send(method, path, **request)
        try:
            return msgspec.json.decode(response.content, type=dict[str, Any])
        except msgspec.DecodeError:
            raise not_runcast(self.base_url, response.status_code) from None

    def _send(self, method: str, path: str, **request: Any) -> httpx2.Response:
        with self._guard():
            response = self._http.request(method, path, **request)
        if response.is_error:
            raise _refusal(response)
        return response

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except httpx2.ConnectError:
            raise NoServer(f"no server at {self.base_url}") from None
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            raise NoServer(f"the server at {self.base_url} does not answer: {error}") from None


def _address(base_url: str) -> str:
    try:
        url = httpx2.URL(base_url)
        url.host.encode("idna")  # as the resolver will, which says little of what is wrong
    except (httpx2.InvalidURL, UnicodeError):
        url = httpx2.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ClientError("bad_address", f"{base_url!r} is not an address; write http://HOST:PORT")
    return base_url.rstrip("/")


def run_path(run_id: str) -> str:
    """Return the path of a run, whatever characters its id has."""
    return f"{RUNS}/{quote(run_id, safe='')}"


def not_runcast(base_url: str, status: int) -> ApiError:
    """Make the error for an answer that no runcast server would give."""
    return ApiError("not_runcast", f"{base_url} does not answer like a runcast server", status)


def _refusal(response: httpx2.Response) -> ApiError:
    status = response.status_code
    try:
        error = msgspec.json.decode(response.content)["error"]
        return ApiError(error["code"], error["message"], status)
    except (msgspec.DecodeError, KeyError, TypeError):
        phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "refused"
        return ApiError(f"http_{status}", f"the server answered {status} {phrase}", status)
