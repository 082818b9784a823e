"""Following a run through a server that cuts, refuses, restarts and lies."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runcast.client.errors import ApiError, NoServer
from runcast.client.follow import StreamEvent, follow, follow_pieces
from runcast.client.http import Client
from tests.client.scripted import Request, ScriptedServer, answer, frame, stream
from tests.support.server import free_port

LAST = 12
FRAMES = [
    *(frame(n, line=f"line {n}") for n in range(1, LAST)),
    frame(LAST, "status", status="completed"),
    frame(LAST + 1, "end", last_seq=LAST),
]


def numbers(events: list[StreamEvent]) -> list[int]:
    return [event.id for event in events]


def collect(url: str, after: int = 0, **options: object) -> list[StreamEvent]:
    with Client(url) as client:
        pieces = follow_pieces(client, "r", after, sleep=lambda _: None, **options)  # type: ignore[arg-type]
        return [event for piece in pieces for event in piece]


def cursor(request: Request) -> int:
    return int(request.headers.get("last-event-id") or request.query["after"][0])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=8))
def test_cut_anywhere_every_event_comes_once_in_order(cuts: list[tuple[int, bool]]) -> None:
    def script(request: Request) -> bytes:
        rest = b"".join(FRAMES[cursor(request) :])
        if not rest:
            return answer(204)
        if request.number >= len(cuts):
            return stream(rest)
        at, chunked = cuts[request.number]
        return stream(rest[:at], chunked=chunked)

    with ScriptedServer(script) as server:
        events = collect(server.url)
    assert numbers(events) == list(range(1, LAST + 2))
    assert events[0].data == {"line": "line 1"}
    assert events[-1].event == "end"


def test_following_begins_after_the_given_number_and_asks_for_the_given_types() -> None:
    with ScriptedServer(lambda r: stream(b"".join(FRAMES[cursor(r) :]))) as server:
        with Client(server.url) as client:
            events = list(follow(client, "r", after=9, types=["log", "status"]))
        assert numbers(events) == [10, 11, 12, 13]
        assert server.requests[0].query == {"after": ["9"], "types": ["log,status"]}
        assert "last-event-id" not in server.requests[0].headers


def test_an_answer_of_204_ends_the_following() -> None:
    with ScriptedServer(lambda _: answer(204)) as server:
        assert collect(server.url, after=13) == []
        assert len(server.requests) == 1


def test_heartbeats_and_comments_are_not_events() -> None:
    body = b": hb\n" + FRAMES[0] + b"event: heartbeat\ndata: {}\n\n: hb\n" + b"".join(FRAMES[1:])
    with ScriptedServer(lambda _: stream(body)) as server:
        assert numbers(collect(server.url)) == list(range(1, LAST + 2))


def test_a_gap_is_told() -> None:
    body = frame(4, "gap", after=0, first=5, reason="retention") + b"".join(FRAMES[4:])
    with ScriptedServer(lambda _: stream(body)) as server:
        events = collect(server.url)
    assert numbers(events) == list(range(4, LAST + 2))
    assert (events[0].event, events[0].data["first"]) == ("gap", 5)


@pytest.mark.parametrize(
    ("status", "code"), [(404, "not_found"), (410, "cursor_ahead"), (429, "too_many_clients")]
)
def test_a_refusal_ends_the_following(status: int, code: str) -> None:
    problem = {"error": {"code": code, "message": "no"}}
    with ScriptedServer(lambda _: answer(status, problem)) as server:
        with pytest.raises(ApiError) as caught:
            collect(server.url)
        assert caught.value.code == code
        assert len(server.requests) == 1


def test_a_server_that_is_stopping_is_asked_again() -> None:
    def script(request: Request) -> bytes:
        if request.number == 0:
            return answer(503, {"error": {"code": "draining", "message": "stopping"}})
        if request.number == 1:
            return stream(b": draining\n")
        return stream(b"".join(FRAMES))

    with ScriptedServer(script) as server:
        assert numbers(collect(server.url)) == list(range(1, LAST + 2))


@pytest.mark.parametrize("body", [b"event: log\ndata: {\nid: 1\n\n", b"data: {}\nid: x\n\n"])
def test_frames_that_no_runcast_sends_end_the_following(body: bytes) -> None:
    with ScriptedServer(lambda _: stream(body)) as server:
        with pytest.raises(ApiError) as caught:
            collect(server.url)
        assert caught.value.code == "not_runcast"


def test_a_page_of_something_else_ends_the_following() -> None:
    with ScriptedServer(lambda _: answer(200, "hello")) as server:
        with pytest.raises(ApiError) as caught:
            collect(server.url)
        assert caught.value.code == "not_runcast"


def test_attempts_slow_down_and_start_over_after_a_success() -> None:
    pauses: list[float] = []

    def script(request: Request) -> bytes:
        if request.number == 4:
            return stream(b"retry: 200\n" + FRAMES[0])
        return stream(b"".join(FRAMES[1:])) if request.number == 6 else answer(503)

    with ScriptedServer(script) as server, Client(server.url) as client:
        pieces = list(follow_pieces(client, "r", sleep=pauses.append))
    assert numbers([event for piece in pieces for event in piece]) == list(range(1, LAST + 2))
    expected = [1, 2, 4, 8, 0.2, 0.4]
    for pause, middle in zip(pauses, expected, strict=True):
        assert 0.74 * middle < pause < 1.26 * middle


def test_patience_ends_at_its_time() -> None:
    with pytest.raises(NoServer):
        collect(f"http://127.0.0.1:{free_port()}", patience_s=0)


def test_what_arrived_together_is_given_together() -> None:
    with ScriptedServer(lambda _: stream(b"".join(FRAMES))) as server, Client(server.url) as client:
        pieces = list(follow_pieces(client, "r"))
    assert len(pieces) < len(FRAMES)
