"""What an outbox makes of every answer, and of none: what it sends again, keeps, and sets aside."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from runcast.client.aio import AsyncClient
from runcast.client.errors import ApiError, ClientError, NoServer
from runcast.client.flusher import Pace
from runcast.client.outbox import AsyncOutbox, Outbox
from runcast.client.sync import Client
from runcast.client.workspaces import workspace_id
from tests.client.scripted import Request, Script, ScriptedServer, answer
from tests.support.waiting import until

PROCESS = {
    "id": "p",
    "type": "command",
    "promptPreview": "x",
    "status": "running",
    "startTime": "2026-01-02T03:04:05.678Z",
    "workspaceId": "w",
}
WORKSPACE = {"id": "w", "name": "x", "rootPath": "/x"}
LOOK = answer(200, {"workspaces": [{"id": "default", "name": "default", "rootPath": "/"}]})
HANG_UP = b""
PAGE = b"HTTP/1.1 %d X\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<p>Please log in"


def well(request: Request) -> bytes:
    """Answer as a server does to which everything is fine."""
    if request.method == "DELETE":
        return answer(204)
    if request.path == "/api/workspaces":
        return answer(201, WORKSPACE) if request.method == "POST" else LOOK
    if request.path == "/api/v1/messages":
        return answer(201, {"msg_id": "m", "timestamp": "2026-01-02T03:04:05.678Z"})
    return answer(202, {"seq": 2}) if request.path.endswith("/output") else answer(200, PROCESS)


def of_items(said: bytes) -> Script:
    """Answer every look at the server well, and every item by this."""
    return lambda request: LOOK if request.method == "GET" else said


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
    def sent(self) -> list[Request]:
        """The items that were sent, without the looks at the server before."""
        return [request for request in self.server.requests if request.method != "GET"]

    @property
    def bodies(self) -> list[object]:
        return [msgspec.json.decode(request.body or b"null") for request in self.sent]

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
    away.script = of_items(HANG_UP)
    for _ in range(2):
        with pytest.raises(NoServer):
            away.outbox.flush()
    away.script = well
    assert away.outbox.flush() == 1
    first, second, third = away.sent
    assert first[:5] == second[:5] == third[:5]
    assert len(first.headers["idempotency-key"]) >= 32
    assert away.outbox.items() == []


def test_each_item_has_a_key_of_its_own(away: Away) -> None:
    for keep in KEEP.values():
        keep(away.outbox)
    away.outbox.flush()
    keys = {request.headers["idempotency-key"] for request in away.sent}
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
@pytest.mark.parametrize("kind", KEEP)
def test_what_may_be_taken_later_waits_and_all_behind_it(
    away: Away, kind: str, said: bytes
) -> None:
    KEEP[kind](away.outbox)
    away.outbox.post_message("behind it")
    away.script = of_items(said)
    with pytest.raises(ApiError):
        away.outbox.flush()
    assert len(away.sent) == 1
    assert away.states() == ["waiting", "waiting"]
    away.script = well
    assert away.outbox.flush() == 2


@pytest.mark.parametrize("said", LATER.values(), ids=LATER.keys())
def test_nothing_is_sent_before_a_runcast_server_has_answered(away: Away, said: bytes) -> None:
    KEEP["submit"](away.outbox)
    away.script = lambda _: said
    with pytest.raises(ApiError):
        away.outbox.flush()
    assert (away.sent, away.states()) == ([], ["waiting"])
    assert away.outbox.items()[0].tried_at is None


def test_what_is_not_there_needs_no_removing(away: Away) -> None:
    away.outbox.remove("p")
    away.script = of_items(refusal(404, "not_found"))
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
    away.script = of_items(refusal(409, "bad_transition"))
    away.outbox.flush()
    assert away.outbox.retry(1) == 1
    away.script = well
    assert away.outbox.flush() == 1
    first, second = away.sent
    assert first.body == second.body
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]


class Losing:
    """A server that knows the workspaces that it was told of, until it loses its data."""

    def __init__(self) -> None:
        self.known: dict[str, object] = {}

    def __call__(self, request: Request) -> bytes:
        if request.path != "/api/workspaces":
            named = request.headers["x-workspace-id"]
            return well(request) if named in self.known else refusal(400, "unknown_workspace")
        if request.method == "GET":
            return answer(200, {"workspaces": list(self.known.values())})
        told = msgspec.json.decode(request.body)
        self.known[told["id"]] = told
        return answer(201, told)


def test_the_workspace_is_told_before_its_first_item_and_again_once_it_is_lost(
    away: Away, tmp_path: Path
) -> None:
    away.script = losing = Losing()
    with Client(away.server.url, workspace=tmp_path) as client:
        outbox = Outbox(client, tmp_path / "outbox.db")
        for number in range(2):
            outbox.submit(f"{number}")
            assert outbox.flush() == 1
        asked = ["/api/workspaces", "/api/processes", "/api/processes"]
        assert [request.path for request in away.sent] == asked
        headers = {request.headers.get("x-workspace-id") for request in away.sent}
        assert headers == {None, workspace_id(tmp_path)}
        losing.known.clear()
        outbox.submit("2")
        assert outbox.flush() == 1
        asked += ["/api/workspaces", "/api/processes"]
        assert [request.path for request in away.sent] == asked


def test_a_workspace_that_is_lost_while_items_are_sent_is_told_again(
    away: Away, tmp_path: Path
) -> None:
    losing = Losing()

    def once(request: Request) -> bytes:
        if request.body.find(b"second") >= 0:
            losing.known.clear()
            away.script = losing
        return losing(request)

    away.script = once
    with Client(away.server.url, workspace=tmp_path) as client:
        outbox = Outbox(client, tmp_path / "outbox.db")
        for name in ("first", "second", "third"):
            outbox.submit(name)
        assert outbox.flush() == 3
        assert outbox.items() == []
    paths = [request.path for request in away.sent]
    assert paths.count("/api/workspaces") == 2


def test_an_item_whose_workspace_is_refused_says_so_itself(away: Away, tmp_path: Path) -> None:
    def refuse(request: Request) -> bytes:
        if request.method == "GET":
            return LOOK
        taken = request.path == "/api/workspaces"
        return refusal(409, "workspace_taken") if taken else refusal(400, "unknown_workspace")

    away.script = refuse
    with Client(away.server.url, workspace=tmp_path) as client:
        outbox = Outbox(client, tmp_path / "outbox.db")
        outbox.submit("x")
        outbox.submit("y")
        assert outbox.flush() == 0
        assert [item.said for item in outbox.items()] == ["it says (unknown_workspace)"] * 2


def test_what_waits_for_one_server_is_not_sent_to_another(away: Away, tmp_path: Path) -> None:
    away.outbox.submit("here")
    with Client("http://elsewhere.invalid") as client:
        outbox = Outbox(client, tmp_path / "outbox.db")
        assert outbox.waiting() == 0
        outbox.submit("there")
        assert outbox.waiting() == 1
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


def test_what_has_arrived_is_noted_before_the_next_item_is_sent(away: Away) -> None:
    for _ in range(3):
        away.outbox.submit("x")
    kept: list[int] = []

    def count(request: Request) -> bytes:
        if request.method != "GET":
            kept.append(len(away.outbox.items()))
        return well(request)

    away.script = count
    assert away.outbox.flush() == 3
    assert kept == [3, 2, 1]


GARBLED = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\nhello"


def test_a_flusher_survives_every_answer(away: Away) -> None:
    away.script = lambda _: GARBLED
    with away.outbox.keep_flushing() as flusher:
        away.outbox.submit("x")
        until(lambda: flusher.problem, "the answer to be noticed")
        away.script = well
        until(lambda: not away.outbox.waiting(), "the item to be sent")


def test_a_flusher_whose_client_was_closed_says_so_and_goes_on(away: Away) -> None:
    with away.outbox.keep_flushing() as flusher:
        away.client.close()
        away.outbox.submit("x")
        until(lambda: "closed" in str(flusher.problem), "the flusher to notice")
        away.outbox.submit("y")
        assert flusher._thread.is_alive()


async def test_a_flushing_task_survives_every_answer(away: Away, tmp_path: Path) -> None:
    away.script = lambda _: GARBLED
    async with AsyncClient(away.server.url) as client:
        outbox = AsyncOutbox(client, tmp_path / "another.db")
        async with outbox.keep_flushing() as flusher:
            await outbox.submit("x")
            await asyncio.to_thread(until, lambda: flusher.problem, "the answer to be noticed")
            away.script = well
            async with asyncio.timeout(10):
                while await outbox.waiting():
                    await asyncio.sleep(0.01)


def test_a_server_that_was_away_for_long_is_found_soon() -> None:
    pace = Pace(lambda: 0)
    assert max(pace.failed() for _ in range(20)) <= 6
