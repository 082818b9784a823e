"""Following a run through a server that cuts, refuses, stalls, restarts and lies."""

import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runcast.client import ApiError, ClientError, Gap, NoServer, NotFound, backoff
from runcast.client.following import of_messages, of_run
from runcast.client.types import Message, StreamEvent
from tests.client.both import Make, either
from tests.client.scripted import Request, ScriptedServer, answer, frame, stream
from tests.support.server import free_port

pytestmark = pytest.mark.usefixtures("quick_retries")

LAST = 12
FRAMES = [
    *(frame(n, line=f"line {n}") for n in range(1, LAST)),
    frame(LAST, "status", status="completed"),
    frame(LAST + 1, "end", last_seq=LAST),
]
SOON = b"retry: 1\n\n"  # ms, so that no test has to wait for its next connection


def numbers(events: list[StreamEvent]) -> list[int]:
    return [event.id for event in events]


def follow(make: Make, url: str, after: int = 0, **options: Any) -> list[StreamEvent]:
    with make(url) as client:
        return list(client.follow("r", after, **options))


def cursor(request: Request) -> int:
    return int(request.headers.get("last-event-id") or request.query["after"][0])


def rest(request: Request) -> bytes:
    return stream(SOON + b"".join(FRAMES[cursor(request) :]))


@either
@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=8))
def test_cut_anywhere_every_event_comes_once_in_order(
    make: Make, cuts: list[tuple[int, bool]]
) -> None:
    def script(request: Request) -> bytes:
        left = b"".join(FRAMES[cursor(request) :])
        if not left:
            return answer(204)
        if request.number >= len(cuts):
            return stream(left)
        at, chunked = cuts[request.number]
        return stream(SOON + left[:at], chunked=chunked)

    with ScriptedServer(script) as server:
        events = follow(make, server.url)
    assert numbers(events) == list(range(1, LAST + 2))
    assert events[0].data == {"line": "line 1"}
    assert events[-1].event == "end"


@either
def test_following_begins_after_the_given_number_and_asks_for_what_is_wanted(make: Make) -> None:
    with ScriptedServer(rest) as server:
        events = follow(make, server.url, 9, types=["log", "status"], streams="stderr", grep="x")
        assert numbers(events) == [10, 11, 12, 13]
        wanted = {"types": ["log,status"], "streams": ["stderr"], "grep": ["x"]}
        assert server.requests[0].query == {"after": ["9"], **wanted}
        assert "last-event-id" not in server.requests[0].headers


@either
def test_an_answer_of_204_ends_the_following(make: Make) -> None:
    with ScriptedServer(lambda _: answer(204)) as server:
        assert follow(make, server.url, 13) == []
        assert len(server.requests) == 1


@either
def test_heartbeats_and_comments_are_not_events(make: Make) -> None:
    body = b": hb\n" + FRAMES[0] + b"event: heartbeat\ndata: {}\n\n: hb\n" + b"".join(FRAMES[1:])
    with ScriptedServer(lambda _: stream(body)) as server:
        assert numbers(follow(make, server.url)) == list(range(1, LAST + 2))


def with_gap(request: Request) -> bytes:
    left = frame(9, "gap", after=4, first=10, reason="retention") + b"".join(FRAMES[9:])
    return stream(b"".join(FRAMES[cursor(request) : 4]) + left if cursor(request) < 4 else left)


@either
def test_a_gap_is_told(make: Make) -> None:
    with ScriptedServer(with_gap) as server:
        events = follow(make, server.url)
    assert numbers(events) == [1, 2, 3, 4, 9, 10, 11, 12, 13]
    assert (events[4].event, events[4].data["first"]) == ("gap", 10)


@either
def test_a_gap_is_raised_behind_the_events_before_it(make: Make) -> None:
    had: list[StreamEvent] = []
    with (
        ScriptedServer(with_gap) as server,
        make(server.url) as client,
        pytest.raises(Gap, match="before number 10: retention") as caught,
    ):
        had.extend(client.follow("r", gap="raise"))
    assert numbers(had) == [1, 2, 3, 4]
    assert (caught.value.id, caught.value.data["after"]) == (9, 4)


@either
def test_without_a_gap_none_is_raised(make: Make) -> None:
    with ScriptedServer(rest) as server:
        assert numbers(follow(make, server.url, gap="raise")) == list(range(1, LAST + 2))


@either
@pytest.mark.parametrize(
    ("status", "code"), [(404, "not_found"), (410, "cursor_ahead"), (429, "too_many_clients")]
)
def test_a_refusal_ends_the_following(make: Make, status: int, code: str) -> None:
    problem = {"error": {"code": code, "message": "no"}}
    with ScriptedServer(lambda _: answer(status, problem)) as server:
        with pytest.raises(ApiError) as caught:
            follow(make, server.url)
        assert caught.value.code == code
        assert len(server.requests) == 1


@either
def test_a_server_that_is_stopping_is_asked_again(make: Make) -> None:
    def script(request: Request) -> bytes:
        if request.number == 0:
            return stream(SOON + FRAMES[0])
        if request.number == 1:
            return answer(503, {"error": {"code": "draining", "message": "stopping"}})
        return stream(b": draining\n") if request.number == 2 else rest(request)

    with ScriptedServer(script) as server:
        assert numbers(follow(make, server.url)) == list(range(1, LAST + 2))


@either
@pytest.mark.parametrize("body", [b"event: log\ndata: {\nid: 1\n\n", b"data: {}\nid: x\n\n"])
def test_frames_that_no_runcast_sends_end_the_following(make: Make, body: bytes) -> None:
    with ScriptedServer(lambda _: stream(body)) as server:
        with pytest.raises(ApiError) as caught:
            follow(make, server.url)
        assert caught.value.code == "not_runcast"


@either
def test_a_page_of_something_else_ends_the_following(make: Make) -> None:
    with ScriptedServer(lambda _: answer(200, "hello")) as server:
        with pytest.raises(ApiError) as caught:
            follow(make, server.url)
        assert caught.value.code == "not_runcast"


@either
def test_patience_ends_at_its_time(make: Make) -> None:
    with pytest.raises(NoServer):
        follow(make, f"http://127.0.0.1:{free_port()}", patience_s=0)


@either
def test_what_arrived_together_is_given_together(make: Make) -> None:
    with ScriptedServer(rest) as server, make(server.url) as client:
        pieces = list(client.pieces(of_run("r")))
    assert len(pieces) < len(FRAMES)
    assert sum(map(len, pieces)) == len(FRAMES)


@contextmanager
def silent_server() -> Iterator[tuple[str, list[bytes]]]:
    """Answer each connection with the frames it asks for up to the fourth, and say no more."""
    asked: list[bytes] = []
    connections: list[socket.socket] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            request = connection.recv(65_536)
            asked.append(request)
            left = FRAMES[:4] if len(asked) == 1 else FRAMES[4:] if len(asked) == 3 else []
            connection.sendall(stream(SOON + b"".join(left)))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection in connections:
            connection.close()


@either
def test_a_stream_that_falls_silent_is_given_up_and_resumed(make: Make) -> None:
    with silent_server() as (url, asked):
        assert numbers(follow(make, url, silence_s=0.1)) == list(range(1, LAST + 2))
    assert [b"last-event-id: 4" in request.lower() for request in asked] == [False, True, True]


@either
def test_who_leaves_early_leaves_nothing_open(make: Make) -> None:
    with silent_server() as (url, _), make(url) as client:
        events = client.follow("r")
        assert next(events).id == 1
        events.close()


@either
def test_messages_are_followed_from_now_on_and_can_be_read_as_such(make: Make) -> None:
    said = {"msg_id": "m", "seq": 7, "body": "hello", "type": "USER", "new": 1}
    posted = frame(7, "message", **said, timestamp="2026-11-21T08:57:30.123Z")

    def script(request: Request) -> bytes:
        return stream(SOON + posted) if request.number else answer(200, {"next_after": 6})

    with ScriptedServer(script) as server, make(server.url) as client:
        messages = client.follow_messages(task_id="t")
        message = next(messages)
        messages.close()
        asked, opened = server.requests
        assert asked.query == {"after": ["now"]}
        assert opened.query == {"after": ["6"], "task_id": ["t"]}
    assert (message.event, message.read(Message).body) == ("message", "hello")


def test_attempts_slow_down_and_start_over_after_a_success() -> None:
    following = of_run("r")
    hung_up = [following.broke(None, now=0) for _ in range(6)]
    list(following.feed(b"retry: 200\n" + FRAMES[0]))
    refused = [following.broke(ApiError("x", "x", 503), now=0) for _ in range(2)]
    for pause, least in zip(hung_up + refused, [1, 2, 4, 8, 15, 15, 0.2, 0.4], strict=True):
        assert least <= pause <= 1.5 * least


def test_a_server_that_asks_for_a_long_pause_gets_it() -> None:
    following = of_run("r")
    list(following.feed(b"retry: 60000\n" + FRAMES[0]))
    assert all(60 <= following.broke(None, now=0) <= 90 for _ in range(3))


def test_no_pause_is_too_short_whatever_the_server_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backoff, "LEAST_S", 0.1)
    following = of_run("r")
    list(following.feed(b"retry: 0\n" + FRAMES[0]))
    assert following.broke(None, now=0) >= 0.1


def test_a_retry_that_nobody_could_wait_for_is_passed_over() -> None:
    following = of_run("r")
    list(following.feed(b"retry: " + b"9" * 5000 + b"\n" + FRAMES[0]))
    assert following.broke(None, now=0) <= 1.5


def test_a_server_that_says_nothing_but_comments_wears_out_patience() -> None:
    following = of_run("r", patience_s=60)
    pauses = []
    for _ in range(3):
        list(following.feed(b": hi\n\n"))
        pauses.append(following.broke(None, now=0))
    assert pauses[-1] >= 4
    list(following.feed(b"event: heartbeat\ndata: {}\n\n"))
    assert following.broke(None, now=59) <= 1.5
    with pytest.raises(NoServer, match="hanging up"):
        following.broke(None, now=120)


def test_what_was_good_before_a_bad_frame_is_given_and_the_cursor_stays_with_it() -> None:
    following = of_run("r")
    had: list[StreamEvent] = []
    pieces = following.feed(FRAMES[0] + b"event: log\ndata: 3\nid: 2\n\n")
    with pytest.raises(ApiError, match="not a runcast server"):
        had.extend(chain.from_iterable(pieces))
    assert numbers(had) == [1]
    assert following.last_id == "1"


@either
def test_a_stream_that_something_compresses_is_refused(make: Make) -> None:
    def script(_: Request) -> bytes:
        head, _, body = stream(FRAMES[0]).partition(b"\r\n\r\n")
        return head + b"\r\ncontent-encoding: gzip\r\n\r\n" + gzip.compress(body)

    with ScriptedServer(script) as server:
        with pytest.raises(ClientError, match="gzip") as caught:
            follow(make, server.url)
        assert caught.value.code == "compressed"
        assert len(server.requests) == 1


PAGE = b"HTTP/1.1 %d X\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<p>Sorry"
TOO_MANY = answer(429, {"error": {"code": "too_many_clients", "message": "no"}})
IN_THE_MIDDLE = {
    "404 of a proxy": PAGE % 404,
    "403 of a proxy": PAGE % 403,
    "302 of a portal": PAGE % 302,
    "200 of a portal": PAGE % 200,
    "408": answer(408),
    "429": TOO_MANY,
    "502": PAGE % 502,
}


@either
@pytest.mark.parametrize("between", IN_THE_MIDDLE.values(), ids=IN_THE_MIDDLE.keys())
def test_what_passes_does_not_end_a_following(make: Make, between: bytes) -> None:
    def script(request: Request) -> bytes:
        if request.number == 0:
            return stream(SOON + FRAMES[0])
        return between if request.number == 1 else rest(request)

    with ScriptedServer(script) as server:
        assert numbers(follow(make, server.url)) == list(range(1, LAST + 2))


@either
def test_a_run_that_is_removed_meanwhile_ends_the_following(make: Make) -> None:
    gone = answer(404, {"error": {"code": "not_found", "message": "no run r"}})
    with (
        ScriptedServer(lambda it: gone if it.number else stream(SOON + FRAMES[0])) as server,
        pytest.raises(NotFound),
    ):
        follow(make, server.url)


@either
@pytest.mark.parametrize("method", ["follow_all", "follow_messages"])
def test_what_comes_between_two_connections_of_which_the_first_said_no_event_is_not_lost(
    make: Make, method: str
) -> None:
    def script(request: Request) -> bytes:
        if not request.number:
            return answer(200, {"positions": {"head": 7}, "next_after": 7})
        return stream(SOON + (frame(8) if request.number > 1 else b": hb\n"))

    with ScriptedServer(script) as server, make(server.url) as client:
        events = getattr(client, method)()
        assert next(events).id == 8
        events.close()
        _, *opened = server.requests
        assert [request.query["after"] for request in opened] == [["7"]] * 2


def test_patience_begins_when_the_server_is_gone_and_starts_over_when_it_is_back() -> None:
    following = of_run("r", patience_s=60)
    following.broke(NoServer("x"), now=100)
    following.broke(NoServer("x"), now=159)
    list(following.feed(FRAMES[0]))
    following.broke(NoServer("x"), now=160)
    with pytest.raises(NoServer, match="second"):
        following.broke(NoServer("second"), now=221)


def test_what_the_client_did_wrong_is_not_tried_again() -> None:
    following = of_messages()
    following.opened(200, {"content-type": "text/event-stream"})
    with pytest.raises(ApiError):
        following.broke(ApiError("x", "x", 404), now=0)
