"""What a program emits is kept, and gets to whoever follows."""

import asyncio
import json
import queue
import threading
from typing import Any

import httpx2
import pytest
from websockets.sync.client import connect

from runcast import Server, create_server
from tests.embedded.program import JOB, events, follow, receive
from tests.support.envelopes import OTHER, TASK, thought
from tests.support.waiting import until


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
