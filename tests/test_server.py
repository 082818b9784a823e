"""A server inside a program: what it emits is kept, and gets to whoever follows."""

import asyncio
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.sync.client import ClientConnection, connect

import runcast
from runcast import Server, create_server
from runcast.core.errors import ConfigError
from tests.support import processes
from tests.support.waiting import until

TASK = "6f1b1c2e-0000-4000-8000-00000000000a"
OTHER = "6f1b1c2e-0000-4000-8000-00000000000b"
JOB = "6f1b1c2e-0000-4000-8000-0000000000aa"


def thought(content: str = "hm", task_id: str = TASK, number: int = 1) -> dict[str, Any]:
    return {
        "type": "thought",
        "taskId": task_id,
        "agentId": "coder",
        "sequenceNumber": number,
        "timestamp": "2026-01-02T03:04:05.678Z",
        "payload": {"content": content},
    }


@pytest.fixture
def server() -> Iterator[Server]:
    with create_server(0) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=10) as client:
        yield client


@contextmanager
def follow(server: Server, task_id: str, after: int | None = None) -> Iterator[ClientConnection]:
    """Open a WebSocket that is subscribed to a task."""
    address = server.url.replace("http", "ws") + "/"
    with connect(address, close_timeout=0.1) as socket:
        if after is not None:
            socket.send(json.dumps({"subscribe": task_id, "after": after}))
        else:
            socket.send(json.dumps({"subscribe": task_id}))
            # What is answered shows that the subscription, which is not, was heard.
            socket.send("junk")
            assert json.loads(socket.recv(timeout=10))["type"] == "error"
        yield socket


def receive(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(timeout=10))


def events(client: httpx2.Client, run_id: str) -> list[Any]:
    answer = client.get(f"/api/v1/runs/{run_id}/events")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["events"])


class TestEmitting:
    def test_who_follows_the_task_gets_the_envelope_as_it_is(self, server: Server) -> None:
        with follow(server, TASK) as socket:
            server.emit(thought())
            assert receive(socket) == thought()

    def test_nobody_has_to_follow(self, server: Server) -> None:
        server.emit(thought())
        server.flush()
        with follow(server, TASK, after=0) as socket:
            assert receive(socket) == thought()

    def test_a_client_of_one_task_never_sees_anothers(self, server: Server) -> None:
        with follow(server, TASK) as mine, follow(server, OTHER) as others:
            server.emit(thought("other", OTHER))
            server.emit(thought("mine"))
            assert receive(mine) == thought("mine")
            assert receive(others) == thought("other", OTHER)

    def test_the_order_of_each_thread_is_kept(self, server: Server) -> None:
        def emit(task_id: str) -> None:
            for number in range(300):
                server.emit(thought(task_id=task_id, number=number))

        threads = [threading.Thread(target=emit, args=[task]) for task in (TASK, OTHER)]
        with follow(server, TASK) as one, follow(server, OTHER) as other:
            for thread in threads:
                thread.start()
            for socket in (one, other):
                got = [receive(socket)["sequenceNumber"] for _ in range(300)]
                assert got == list(range(300))
        for thread in threads:
            thread.join()

    @pytest.mark.parametrize(
        ("broken", "named"),
        [
            (thought() | {"taskId": 1}, "taskId"),
            (thought() | {"type": "dream"}, "type"),
            (thought() | {"payload": {}}, "content"),
            (thought() | {"more": object()}, "JSON"),
            (thought() | {"more": float("nan")}, "JSON"),
            (thought() | {"more": 2**70}, "64 bits"),
            (thought("\ud800"), "JSON"),
            (thought("x" * 2_000_000), "at most"),
            (None, "type"),
        ],
    )
    def test_what_is_no_envelope_is_refused_at_once(self, broken: Any, named: str) -> None:
        with pytest.raises(ValueError, match=named):
            create_server(0).emit(broken)

    def test_what_is_changed_after_the_call_is_not_told(self, server: Server) -> None:
        said = thought("as it was")
        server.emit(said)
        said["payload"]["content"] = "changed"
        server.flush()
        with follow(server, TASK, after=0) as socket:
            assert receive(socket)["payload"]["content"] == "as it was"

    def test_the_queue_takes_ten_thousand_and_then_says_so(self) -> None:
        server = create_server(0)
        for number in range(10_000):
            server.emit(thought(number=number))
        with pytest.raises(queue.Full):
            server.emit(thought())
        with server, follow(server, TASK, after=0) as socket:
            assert [receive(socket)["sequenceNumber"] for _ in range(10_000)] == list(range(10_000))

    async def test_a_coroutine_may_emit_and_wait_elsewhere(self, server: Server) -> None:
        server.emit(thought())
        await asyncio.to_thread(server.flush)
        with follow(server, TASK, after=0) as socket:
            assert receive(socket) == thought()

    def test_flushing_gives_up_when_time_runs_out(self, server: Server) -> None:
        server.flush(timeout=10)
        with pytest.raises(RuntimeError, match="not running"):
            create_server(0).flush()


# The machine may do something else just then: a second is a second of the server's own.
QUIET_TRIES = 2


def seconds_to_stop_with_deaf_clients() -> float:
    """Return how long a stop takes while clients are sent what they do not read."""
    server = create_server(0)
    server.start()
    with ExitStack() as open_, httpx2.Client(base_url=server.url, timeout=10) as client:
        for _ in range(5):
            open_.enter_context(follow(server, TASK))  # and never reads
        with client.stream("GET", "/stream", params={"taskId": TASK}) as stream:
            assert stream.status_code == 200
            for number in range(500):
                server.emit(thought("x" * 10_000, number=number))
            server.flush()
            server.emit(thought("the last"))
            took = seconds(server.stop)
        with pytest.raises(httpx2.ConnectError):
            client.get("/healthz")
    assert server.connection_count == 0
    return took


def seconds(call: Callable[[], object]) -> float:
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


class TestLiving:
    def test_each_open_connection_is_counted_once(self, server: Server) -> None:
        assert server.connection_count == 0
        with follow(server, TASK) as one:
            one.send(json.dumps({"subscribe": OTHER}))
            with follow(server, TASK):
                assert server.connection_count == 2
            until(lambda: server.connection_count == 1, "the count to fall")
        until(lambda: server.connection_count == 0, "the count to fall")

    def test_what_was_emitted_is_kept_by_a_stop_at_once(self, tmp_path: Path) -> None:
        server = create_server(0, tmp_path)
        server.start()
        for number in range(2_000):
            server.emit(thought(number=number))
        server.stop()
        with create_server(0, tmp_path) as again, follow(again, TASK, after=0) as socket:
            assert [receive(socket)["sequenceNumber"] for _ in range(2_000)] == list(range(2_000))

    def test_it_stops_within_a_second_whoever_is_connected(self) -> None:
        assert any(seconds_to_stop_with_deaf_clients() < 1 for _ in range(QUIET_TRIES))

    def test_nothing_is_left_of_it(self) -> None:
        before = {thread.name for thread in threading.enumerate()}
        server = create_server(0)
        server.start()
        with httpx2.Client(base_url=server.url, timeout=10) as client:
            folder = Path(client.get("/api/v1/status").json()["data_dir"])
            started = client.post("/api/v1/runs", json={"command": ["sleep", "60"]})
            run = started.json()["run"]["id"]
            until(
                lambda: client.get(f"/api/v1/runs/{run}").json()["run"]["status"] == "running",
                "the run to start",
            )
        assert folder.is_dir()
        server.stop()
        assert not folder.exists()
        assert {thread.name for thread in threading.enumerate()} == before
        until(lambda: not processes.of_folder(folder), "the command to be gone")

    def test_a_second_stop_does_nothing_and_a_second_start_is_refused(self) -> None:
        server = create_server(0)
        server.stop()
        with server:
            with pytest.raises(RuntimeError, match="started before"):
                server.start()
            server.stop()
        with pytest.raises(RuntimeError, match="stopped"):
            server.emit(thought())

    def test_a_port_that_is_taken_is_said_and_leaves_nothing(self, server: Server) -> None:
        other = create_server(server.port)
        with pytest.raises(ConfigError, match=f"{server.port}"):
            other.start()
        other.stop()

    def test_a_folder_keeps_what_it_has(self, tmp_path: Path) -> None:
        with create_server(0, tmp_path) as server:
            server.emit(thought("first"))
        with create_server(0, tmp_path) as server:
            server.emit(thought("second"))
            with follow(server, TASK, after=0) as socket:
                assert [receive(socket)["payload"]["content"] for _ in range(2)] == [
                    "first",
                    "second",
                ]

    def test_it_leaves_the_signals_of_its_program_alone(self) -> None:
        import signal

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
        before = [signal.getsignal(number) for number in numbers]
        with create_server(0):
            assert [signal.getsignal(number) for number in numbers] == before

    def test_it_is_what_the_package_exports(self) -> None:
        assert isinstance(runcast.create_server(7890), runcast.Server)


def stream_names(client: httpx2.Client, job_id: str, last: str) -> list[tuple[str, Any]]:
    """Read the stream of a job until an event of this name."""
    told: list[tuple[str, Any]] = []
    with client.stream("GET", f"/api/stream/{job_id}") as stream:
        name = ""
        for line in stream.iter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                told.append((name, json.loads(value)))
                if name == last:
                    break
    return told


class TestJobs:
    def test_watchers_get_the_output_and_how_it_ended(
        self, server: Server, client: httpx2.Client
    ) -> None:
        server.jobs.send_output(JOB, "one", tool_id="build")
        server.jobs.send_output(JOB, "two", "stderr", tool_id="build")
        server.jobs.send_complete(JOB, 3, tool_id="build")
        *lines, (name, ended) = stream_names(client, JOB, "complete")
        assert [(name, data["line"]) for name, data in lines] == [
            ("output", "one"),
            ("output", "two"),
        ]
        assert (name, ended["exitCode"], ended["status"], ended["toolId"]) == (
            *("complete", 3, "failed", "build"),
        )

    def test_an_error_ends_a_job(self, server: Server, client: httpx2.Client) -> None:
        server.jobs.send_error(JOB, "no such tool")
        assert stream_names(client, JOB, "error") == [("error", {"message": "no such tool"})]

    def test_what_comes_after_the_end_is_dropped_and_logged(
        self, server: Server, client: httpx2.Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        server.jobs.send_complete(JOB)
        server.jobs.send_complete(JOB)
        server.jobs.send_output(JOB, "late")
        server.emit(thought())
        server.flush()
        assert [event["type"] for event in events(client, JOB)] == ["status", "status"]
        assert "refused" in caplog.text

    def test_those_who_watch_are_counted(self, server: Server, client: httpx2.Client) -> None:
        assert not server.jobs.has_session(JOB)
        with (
            client.stream("GET", f"/api/stream/{JOB}"),
            client.stream("GET", f"/api/stream/{JOB.upper()}"),
            client.stream("GET", f"/api/stream/{TASK}"),
        ):
            until(lambda: server.jobs.active_session_count == 3, "three to watch")
            assert server.jobs.session_count(JOB) == 2
            assert server.jobs.has_session(TASK)
        until(lambda: server.jobs.active_session_count == 0, "all to leave")

    def test_mistakes_are_said_at_once(self, server: Server) -> None:
        with pytest.raises(ValueError, match="job_id"):
            server.jobs.send_output("../x", "text")
        with pytest.raises(ValueError, match="line"):
            server.jobs.send_output(JOB, 7)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="stream"):
            server.jobs.send_output(JOB, "text", "stdin")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="status"):
            server.jobs.send_complete(JOB, status="done")  # type: ignore[arg-type]


class TestActivity:
    def test_subscribers_get_every_message_in_order(self, server: Server) -> None:
        activity = server.activity
        with connect(server.url.replace("http", "ws") + "/ws?lifecycle=false") as socket:
            socket.send(json.dumps({"type": "subscribe", "workOrderId": "order", "throttleMs": 0}))
            assert receive(socket)["type"] == "subscription_confirmed"
            activity.emit_agent_tool_call("order", "run", "t1", "Bash", {"command": "ls"})
            activity.emit_agent_tool_result("order", "run", "t1", True, "a.txt", duration_ms=4)
            activity.emit_agent_output("order", "run", "done")
            activity.emit_file_changed("order", "run", "a.txt", "modified", 7)
            activity.emit_progress_update("order", "run", 50, "testing", 1, 10)
            told = [receive(socket) for _ in range(6)]
        assert [one["type"] for one in told] == [
            "run_status",
            "agent_tool_call",
            "agent_tool_result",
            "agent_output",
            "file_changed",
            "progress_update",
        ]
        call, result, output, changed, progress = told[1:]
        assert (call["toolUseId"], call["tool"], call["input"]) == ("t1", "Bash", {"command": "ls"})
        assert (result["success"], result["contentPreview"], result["contentLength"]) == (
            *(True, "a.txt", 5),
        )
        assert (output["content"], output["runId"], output["workOrderId"]) == (
            *("done", "run", "order"),
        )
        assert (changed["path"], changed["action"], changed["sizeBytes"]) == (
            *("a.txt", "modified", 7),
        )
        assert (progress["percentage"], progress["estimatedRemainingSeconds"]) == (50, 10)

    def test_mistakes_are_said_at_once(self, server: Server) -> None:
        with pytest.raises(ValueError, match="work_order_id"):
            server.activity.emit_agent_output("", "run", "text")
        with pytest.raises(ValueError, match="action"):
            server.activity.emit_file_changed("order", "run", "a", "moved")
        with pytest.raises(ValueError, match="JSON"):
            server.activity.emit_agent_tool_call("order", "run", "t", "Bash", object())


def emit_to_two_tasks(server: Server, number: int) -> None:
    server.emit(thought(task_id=(TASK, OTHER)[number % 2], number=number))


def tell_of_two_jobs(server: Server, number: int) -> None:
    server.jobs.send_output((JOB, OTHER)[number % 2], str(number))


def tell_of_two_runs_of_an_order(server: Server, number: int) -> None:
    server.activity.emit_agent_output("order", ("one", "two")[number % 2], str(number))


def emit_and_tell_by_turns(server: Server, number: int) -> None:
    (tell_of_two_jobs, emit_to_two_tasks)[number % 2](server, number)


class TestMany:
    @pytest.mark.parametrize(
        "emit",
        [
            emit_to_two_tasks,
            tell_of_two_jobs,
            tell_of_two_runs_of_an_order,
            emit_and_tell_by_turns,
        ],
    )
    def test_a_stop_commits_what_was_emitted_by_turns_within_a_second(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, emit: Callable[[Server, int], None]
    ) -> None:
        def stops_in_time(folder: Path) -> bool:
            caplog.clear()
            server = create_server(0, folder)
            server.start()
            for number in range(1_000):
                emit(server, number)
            return seconds(server.stop) < 1 and "dropped" not in caplog.text

        assert any(stops_in_time(tmp_path / str(number)) for number in range(QUIET_TRIES))

    def test_a_stop_that_cannot_commit_all_says_how_much_it_dropped(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = create_server(0, tmp_path)
        server.start()
        for number in range(9_000):
            server.jobs.send_complete(f"job-{number}")
        assert seconds(server.stop) < 3
        (said,) = [record for record in caplog.records if "dropped" in record.message]
        with create_server(0, tmp_path) as again:
            kept = len(again.processes.list())
        assert 0 < int(said.message.split()[0]) <= 9_000
        assert 9_000 - int(said.message.split()[0]) <= kept <= 9_000

    def test_who_follows_all_tasks_gets_their_envelopes_as_they_were_emitted(
        self, server: Server
    ) -> None:
        with follow(server, "*") as socket:
            for number in range(60):
                server.emit(thought(task_id=f"task-{number % 3}", number=number))
            got = [receive(socket)["sequenceNumber"] for _ in range(60)]
        assert got == list(range(60))

    def test_a_work_order_is_told_as_its_runs_did_it(self, server: Server) -> None:
        with connect(server.url.replace("http", "ws") + "/ws?lifecycle=false") as socket:
            socket.send(json.dumps({"type": "subscribe", "workOrderId": "order"}))
            assert receive(socket)["type"] == "subscription_confirmed"
            for number in range(40):
                tell_of_two_runs_of_an_order(server, number)
            told: list[str] = []
            while len(told) < 40:
                message = receive(socket)
                if message["type"] == "agent_output":
                    told.append(message["content"])
        assert told == [str(number) for number in range(40)]

    def test_what_one_run_refuses_takes_nothing_from_others(
        self, server: Server, client: httpx2.Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        tell_of_two_runs_of_an_order(server, 0)
        tell_of_two_runs_of_an_order(server, 1)
        server.flush()
        server.processes.update("one", {"status": "completed"})
        for number in range(2, 6):
            tell_of_two_runs_of_an_order(server, number)
        server.flush()
        texts = [event["data"].get("text") for event in events(client, "two")]
        assert texts == [None, "1", "3", "5"]
        assert "refused" in caplog.text

    def test_a_client_that_is_faster_to_make_the_run_costs_nothing(
        self, server: Server, client: httpx2.Client
    ) -> None:
        ids = [f"6f1b1c2e-0000-4000-8000-{number:012d}" for number in range(40)]
        described = {
            "promptPreview": "p",
            "status": "running",
            "startTime": "2026-01-02T03:04:05Z",
        }
        for job_id in ids:
            posting = threading.Thread(
                target=client.post,
                args=["/api/processes"],
                kwargs={"json": {"id": job_id, **described}},
            )
            posting.start()
            server.jobs.send_output(job_id, "line")
            posting.join()
        server.flush()
        for job_id in ids:
            assert [one["type"] for one in events(client, job_id)].count("output") == 1
