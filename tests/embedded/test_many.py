"""What a program emits of many runs by turns is all committed, in its order, and in time."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from websockets.sync.client import connect

from runcast import Server, create_server
from tests.embedded.program import JOB, QUIET_TRIES, events, follow, receive, seconds
from tests.support.envelopes import OTHER, TASK, thought


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
