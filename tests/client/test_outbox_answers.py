"""What an outbox makes of every answer, and of none: what it sends again, keeps, and sets aside."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from runcast.client.errors import ApiError, ClientError, NoServer
from runcast.client.outbox import Outbox
from runcast.client.sync import Client
from runcast.client.workspaces import workspace_id
from tests.client.scripted import Request, Script, ScriptedServer, answer

PROCESS = {
    "id": "p",
    "type": "command",
    "promptPreview": "x",
    "status": "running",
    "startTime": "2026-01-02T03:04:05.678Z",
    "workspaceId": "w",
}
WORKSPACE = {"id": "w", "name": "x", "rootPath": "/x"}
HANG_UP = b""
PAGE = b"HTTP/1.1 %d X\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<p>Please log in"


def well(request: Request) -> bytes:
    """Answer as a server does to which everything is fine."""
    if request.method == "DELETE":
        return answer(204)
    if request.path == "/api/workspaces":
        return answer(201, WORKSPACE)
    if request.path == "/api/v1/messages":
        return answer(201, {"msg_id": "m", "timestamp": "2026-01-02T03:04:05.678Z"})
    return answer(202, {"seq": 2}) if request.path.endswith("/output") else answer(200, PROCESS)


def refusal(status: int, code: str) -> bytes:
    return answer(status, {"error": f"{code}: it says"})


class Away:
    """A server at whose address a script answers, and an outbox for it."""

    def __init__(self, path: Path) -> None:
        self.script: Script = well
        self.server = ScriptedServer(lambda request: self.script(request))
        self.client = Client(self.server.url)
        self.outbox = Outbox(self.client, path)

    @property
    def bodies(self) -> list[object]:
        return [msgspec.json.decode(request.body or b"null") for request in self.server.requests]

    def states(self) -> list[str]:
        return [item.state for item in self.outbox.items()]


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Away]:
    away = Away(tmp_path / "outbox.db")
    with away.server, away.client:
        yield away


KEEP: dict[str, Callable[[Outbox], object]] = {
    "submit": lambda outbox: outbox.submit("x", id="p"),
    "update": lambda outbox: outbox.update("p", status="failed"),
    "remove": lambda outbox: outbox.remove("p"),
    "output": lambda outbox: outbox.emit_output("p", "said"),
    "message": lambda outbox: outbox.post_message("hello"),
}


@pytest.mark.parametrize("kind", KEEP)
def test_an_item_without_an_answer_is_sent_again_the_same_under_the_same_key(
    away: Away, kind: str
) -> None:
    KEEP[kind](away.outbox)
    away.script = lambda _: HANG_UP
    for _ in range(2):
        with pytest.raises(NoServer):
            away.outbox.flush()
    away.script = well
    assert away.outbox.flush() == 1
    first, second, third = away.server.requests
    assert first[:5] == second[:5] == third[:5]
    assert len(first.headers["idempotency-key"]) >= 32
    assert away.outbox.items() == []


def test_each_item_has_a_key_of_its_own(away: Away) -> None:
    for keep in KEEP.values():
        keep(away.outbox)
    away.outbox.flush()
    keys = {request.headers["idempotency-key"] for request in away.server.requests}
    assert len(keys) == len(KEEP)


def test_an_update_sends_only_what_changed(away: Away) -> None:
    away.outbox.update("p", result={"files": 3})
    away.outbox.update("p", error=None)
    away.outbox.flush()
    assert away.bodies == [{"result": {"files": 3}}, {"error": None}]


LATER = {
    "500": refusal(500, "internal"),
    "503": refusal(503, "draining"),
    "429": refusal(429, "too_many_clients"),
    "408": refusal(408, "slow"),
    "401": refusal(401, "no_token"),
    "403": refusal(403, "forbidden_host"),
    "502 of a proxy": PAGE % 502,
    "404 of a proxy": PAGE % 404,
    "302 of a portal": PAGE % 302,
    "200 of a portal": PAGE % 200,
    "JSON of another server": answer(200, {"ok": True}),
}


@pytest.mark.parametrize("said", LATER.values(), ids=LATER.keys())
@pytest.mark.parametrize("kind", [kind for kind in KEEP if kind != "remove"])
def test_what_may_be_taken_later_waits_and_all_behind_it(
    away: Away, kind: str, said: bytes
) -> None:
    KEEP[kind](away.outbox)
    away.outbox.post_message("behind it")
    away.script = lambda _: said
    with pytest.raises(ApiError):
        away.outbox.flush()
    assert len(away.server.requests) == 1
    assert away.states() == ["waiting", "waiting"]
    away.script = well
    assert away.outbox.flush() == 2


def test_a_page_of_something_in_between_removes_nothing(away: Away) -> None:
    away.outbox.remove("p")
    away.script = lambda _: PAGE % 404
    with pytest.raises(ApiError):
        away.outbox.flush()
    assert away.states() == ["waiting"]
    away.script = lambda _: refusal(404, "not_found")
    assert away.outbox.flush() == 1
    assert away.states() == []


FOR_GOOD = {
    "400": refusal(400, "bad_request"),
    "404": refusal(404, "not_found"),
    "409": refusal(409, "bad_transition"),
    "409 of another request": refusal(409, "idempotency_conflict"),
    "413": refusal(413, "body_too_large"),
}


@pytest.mark.parametrize("said", FOR_GOOD.values(), ids=FOR_GOOD.keys())
def test_what_is_refused_for_good_is_set_aside_and_holds_up_nobody(away: Away, said: bytes) -> None:
    away.outbox.update("p", status="failed")
    away.outbox.update("q", status="failed")
    away.script = lambda request: said if request.path.endswith("/p") else well(request)
    assert away.outbox.flush() == 1
    [item] = away.outbox.items()
    assert (item.state, item.process) == ("refused", "p")
    assert item.said.startswith("it says (")


def test_a_retried_item_has_a_new_key_and_the_same_body(away: Away) -> None:
    away.outbox.update("p", status="failed")
    away.script = lambda _: refusal(409, "bad_transition")
    away.outbox.flush()
    assert away.outbox.retry(1) == 1
    away.script = well
    assert away.outbox.flush() == 1
    first, second = away.server.requests
    assert first.body == second.body
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]


def test_the_workspace_is_told_before_its_first_item_and_again_after_an_outage(
    away: Away, tmp_path: Path
) -> None:
    with Client(away.server.url, workspace=tmp_path) as client:
        outbox = Outbox(client, tmp_path / "outbox.db")
        asked = ["/api/workspaces", "/api/processes"]
        for number in range(2):
            outbox.submit(f"{number}")
            outbox.emit_output("p", "said")
            assert outbox.flush() == 2
        asked += ["/api/processes/p/output", "/api/processes", "/api/processes/p/output"]
        assert [request.path for request in away.server.requests] == asked
        headers = {request.headers.get("x-workspace-id") for request in away.server.requests}
        assert headers == {None, workspace_id(tmp_path)}
        outbox.submit("2")
        away.script = lambda _: HANG_UP
        with pytest.raises(NoServer):
            outbox.flush()
        # The server that comes back may have another data folder.
        away.script = well
        assert outbox.flush() == 1
        asked += ["/api/processes", "/api/workspaces", "/api/processes"]
        assert [request.path for request in away.server.requests] == asked


def test_an_item_whose_workspace_is_refused_says_so_itself(away: Away, tmp_path: Path) -> None:
    away.script = lambda request: (
        refusal(409, "workspace_taken")
        if request.path == "/api/workspaces"
        else refusal(400, "bad_request")
    )
    with Client(away.server.url, workspace=tmp_path) as client:
        outbox = Outbox(client, tmp_path / "outbox.db")
        outbox.submit("x")
        assert outbox.flush() == 0
        assert [item.said for item in outbox.items()] == ["it says (bad_request)"]


def test_what_waits_for_one_server_is_not_sent_to_another(away: Away, tmp_path: Path) -> None:
    away.outbox.submit("here")
    with Client("http://elsewhere.invalid") as client:
        outbox = Outbox(client, tmp_path / "outbox.db")
        assert outbox.waiting == 0
        outbox.submit("there")
        assert outbox.waiting == 1
    assert away.outbox.flush() == 1
    assert [item.server for item in away.outbox.items()] == ["http://elsewhere.invalid"]


def test_nothing_of_a_damaged_file_is_sent(away: Away, tmp_path: Path) -> None:
    for number in range(50):
        away.outbox.submit(f"{number}" * 100)
    path = tmp_path / "outbox.db"
    data = bytearray(path.read_bytes())
    data[-2000] ^= 1  # in one of the last
    path.write_bytes(data)
    with pytest.raises(ClientError, match="was damaged and is set aside") as caught:
        away.outbox.flush()
    assert caught.value.code == "outbox_damaged"
    assert away.server.requests == []
