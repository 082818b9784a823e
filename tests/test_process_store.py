"""The processes of a program: added, changed, listed, pruned, and watched."""

import queue
import threading
import timeit
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from runcast import ProcessStore, create_server
from runcast.core.errors import Conflict
from tests.support.waiting import until


@pytest.fixture
def store() -> Iterator[ProcessStore]:
    with ProcessStore() as store:
        yield store


def process(process_id: str = "p1", **more: Any) -> dict[str, Any]:
    return {
        "id": process_id,
        "promptPreview": "Fix the test",
        "status": "running",
        "startTime": "2026-01-02T03:04:05.678Z",
        **more,
    }


class TestKeeping:
    def test_a_process_is_added_changed_and_removed(self, store: ProcessStore) -> None:
        added = store.add(process(type="agent", metadata={"a": 1}))
        assert (added["id"], added["type"], added["metadata"]) == ("p1", "agent", {"a": 1})
        assert store.get("p1") == added
        changed = store.update("p1", {"status": "completed", "result": "fine"})
        assert (changed["status"], changed["result"]) == ("completed", "fine")
        assert changed["endTime"] is not None
        assert store.remove("p1")
        assert not store.remove("p1")
        assert store.get("p1") is None

    def test_mistakes_are_named(self, store: ProcessStore) -> None:
        with pytest.raises(ValueError, match="promptPreview"):
            store.add({"status": "running", "startTime": "2026-01-02T03:04:05Z"})
        with pytest.raises(ValueError, match="status"):
            store.add(process(status="done"))
        with pytest.raises(ValueError, match="startTime"):
            store.add(process(startTime="yesterday"))
        with pytest.raises(ValueError, match="workspaceId"):
            store.add(process(workspaceId="nowhere"))
        with pytest.raises(KeyError):
            store.update("p1", {"status": "completed"})
        with pytest.raises(KeyError):
            store.emit_process_output("p1", "text")
        with pytest.raises(ValueError, match="color"):
            store.list({"color": "red"})
        with pytest.raises(ValueError, match="status"):
            store.list({"status": "done"})
        with pytest.raises(ValueError, match="max_age"):
            store.prune(max_age="soon")
        with pytest.raises(ValueError, match="max_count"):
            store.prune(max_count=-1)
        assert store.list() == []

    def test_what_the_state_forbids_is_a_conflict(self, store: ProcessStore) -> None:
        store.add(process(status="failed"))
        with pytest.raises(Conflict):
            store.add(process())
        with pytest.raises(Conflict):
            store.update("p1", {"status": "completed"})
        with pytest.raises(Conflict):
            store.emit_process_output("p1", "text")

    def test_a_filter_chooses_what_is_listed_and_cleared(self, store: ProcessStore) -> None:
        for number, status in enumerate(("running", "completed", "failed", "completed")):
            store.add(process(f"p{number}", status=status, type=f"type{number % 2}"))
        assert [one["id"] for one in store.list()] == ["p3", "p2", "p1", "p0"]
        assert [one["id"] for one in store.list({"status": "completed"})] == ["p3", "p1"]
        assert [one["id"] for one in store.list({"status": ["failed", "running"]})] == ["p2", "p0"]
        assert [one["id"] for one in store.list({"type": "type0"}, limit=1, offset=1)] == ["p0"]
        assert store.list({"workspace": "other"}) == []
        assert store.clear({"status": "completed"}) == 2
        assert store.clear() == 2
        assert store.list() == []

    def test_no_command_that_runs_here_is_cleared(self) -> None:
        with create_server(0) as server, httpx2.Client(base_url=server.url) as client:
            run = client.post("/api/v1/runs", json={"command": ["sleep", "60"]}).json()["run"]["id"]
            until(
                lambda: (server.processes.get(run) or {})["status"] == "running",
                "the command to run",
            )
            server.processes.add(process())
            assert server.processes.clear() == 1
            assert [one["id"] for one in server.processes.list()] == [run]
            with pytest.raises(Conflict):
                server.processes.remove(run)

    def test_a_folder_keeps_processes(self, tmp_path: Path) -> None:
        with ProcessStore(tmp_path) as store:
            added = store.add(process())
        with ProcessStore(tmp_path) as store:
            assert store.get("p1") == added

    def test_a_closed_store_says_so(self) -> None:
        store = ProcessStore()
        store.close()
        store.close()
        with pytest.raises(RuntimeError, match="not running"):
            store.list()


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes when nothing else is in its way."""
    return min(timeit.repeat(call, number=1, repeat=10))


class TestMany:
    def test_twenty_at_a_time_are_all_kept(self, store: ProcessStore) -> None:
        with ThreadPoolExecutor(20) as threads:
            list(threads.map(lambda n: store.add(process(f"p{n}")), range(20)))
        assert {one["id"] for one in store.list()} == {f"p{n}" for n in range(20)}

    def test_ten_changes_at_a_time_leave_one_of_them_whole(self, store: ProcessStore) -> None:
        store.add(process())

        def change(number: int) -> dict[str, Any]:
            return store.update("p1", {"result": number, "structuredResult": [number]})

        with ThreadPoolExecutor(10) as threads:
            given = list(threads.map(change, range(10)))
        assert all(one["structuredResult"] == [one["result"]] for one in given)
        last = store.get("p1")
        assert last is not None
        assert last["structuredResult"] == [last["result"]]
        assert last["result"] in range(10)

    def test_ten_that_end_it_at_a_time_agree_on_one_end(self, store: ProcessStore) -> None:
        store.add(process())

        def end(number: int) -> str | None:
            try:
                status = "completed" if number % 2 else "failed"
                return str(store.update("p1", {"status": status})["status"])
            except Conflict:
                return None

        with ThreadPoolExecutor(10) as threads:
            ends = {status for status in threads.map(end, range(10)) if status}
        last = store.get("p1")
        assert last is not None
        assert ends == {last["status"]}

    def test_five_hundred_are_listed_and_one_is_got_in_no_time(self, store: ProcessStore) -> None:
        with ThreadPoolExecutor(20) as threads:
            list(threads.map(lambda n: store.add(process(f"p{n}")), range(500)))
        assert len(store.list()) == 500
        assert store.get("p250") is not None
        assert seconds(store.list) < 0.5
        assert seconds(lambda: store.get("p250")) < 0.01

    def test_pruning_keeps_the_newest_that_ended_and_all_that_run(
        self, store: ProcessStore
    ) -> None:
        def add(number: int) -> None:
            store.add(process(f"p{number}", status="completed"))

        with ThreadPoolExecutor(20) as threads:
            list(threads.map(add, range(150)))
        store.add(process("running"))
        old = {"startTime": "2020-01-01T00:00:00Z", "endTime": "2020-01-01T00:00:01Z"}
        store.add(process("old", status="failed") | old)
        assert store.prune(max_age="24h") == 1
        assert store.prune("24h", 100) == 50
        assert len(store.list({"status": "completed"})) == 100
        assert store.get("running") is not None
        assert store.get("old") is None


Told = queue.SimpleQueue[dict[str, Any]]


class TestWatching:
    def test_output_comes_in_order_and_then_how_it_ended(self, store: ProcessStore) -> None:
        told: Told = queue.SimpleQueue()
        store.on_process_output("p1", told.put)  # before there is such a process
        store.add(process())
        for number in range(100):
            store.emit_process_output("p1", f"line {number}\n")
        ended = store.emit_process_complete("p1", result="fine")
        got = [told.get(timeout=10) for _ in range(102)]
        assert got[:100] == [{"type": "chunk", "content": f"line {n}\n"} for n in range(100)]
        assert (got[100]["type"], got[100]["status"], got[100]["result"]) == (
            *("status", "completed", "fine"),
        )
        assert got[101] == {"type": "done", "processId": "p1"}
        assert ended["status"] == "completed"

    def test_only_the_process_that_was_named_is_told_of(self, store: ProcessStore) -> None:
        told: Told = queue.SimpleQueue()
        store.add(process("p1"))
        store.add(process("p2"))
        store.emit_process_output("p1", "before")
        end = store.on_process_output("p1", told.put)
        store.emit_process_output("p2", "another's")
        store.emit_process_output("p1", "mine")
        assert told.get(timeout=10) == {"type": "chunk", "content": "mine"}
        end()
        assert told.empty()

    def test_after_unsubscribing_nothing_is_called(self, store: ProcessStore) -> None:
        told: Told = queue.SimpleQueue()
        others: Told = queue.SimpleQueue()
        store.add(process())
        end = store.on_process_output("p1", told.put)
        store.on_process_output("p1", others.put)
        end()
        end()
        store.emit_process_output("p1", "text")
        assert others.get(timeout=10)["content"] == "text"
        assert told.empty()

    def test_a_callback_that_fails_or_is_slow_holds_up_nobody(
        self, store: ProcessStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        told: Told = queue.SimpleQueue()
        release = threading.Event()

        def fail(message: dict[str, Any]) -> None:
            told.put(message)
            raise ZeroDivisionError

        store.add(process())
        store.on_process_output("p1", lambda _: release.wait(10))
        store.on_process_output("p1", fail)
        for text in ("one", "two"):
            store.emit_process_output("p1", text)
            assert told.get(timeout=10)["content"] == text
        release.set()
        until(lambda: caplog.text.count("the callback on") == 2, "the failures to be logged")

    def test_what_is_too_long_for_one_event_comes_in_pieces(self, store: ProcessStore) -> None:
        told: Told = queue.SimpleQueue()
        store.add(process())
        store.on_process_output("p1", told.put)
        text = "é" * 100_000
        store.emit_process_output("p1", text)
        got = ""
        while len(got) < len(text):
            got += told.get(timeout=10)["content"]
        assert got == text

    def test_an_end_that_is_known_already_stays(self, store: ProcessStore) -> None:
        store.add(process())
        store.update("p1", {"status": "failed", "error": "oh no"})
        assert store.emit_process_complete("p1")["status"] == "failed"
        with pytest.raises(Conflict):
            store.emit_process_complete("p1", "completed")

    def test_who_watches_what_is_removed_is_told_and_let_go(self, store: ProcessStore) -> None:
        done = {"type": "done", "processId": "p1", "deleted": True}
        told: Told = queue.SimpleQueue()
        early: Told = queue.SimpleQueue()
        late: Told = queue.SimpleQueue()
        release = threading.Event()

        def be_slow(message: dict[str, Any]) -> None:
            told.put(message)
            release.wait(10)

        store.on_process_output("p1", early.put)  # before there is such a process
        store.add(process())
        store.on_process_output("p1", be_slow)
        store.emit_process_output("p1", "seen")
        assert told.get(timeout=10) == {"type": "chunk", "content": "seen"}
        assert early.get(timeout=10) == {"type": "chunk", "content": "seen"}
        store.emit_process_output("p1", "gone before its turn")
        store.remove("p1")
        release.set()
        assert told.get(timeout=10) == done
        store.on_process_output("p1", late.put)
        assert late.get(timeout=10) == done
        while (message := early.get(timeout=10)) != done:
            assert message["content"] == "gone before its turn"
        until(
            lambda: "runcast-watch" not in {thread.name for thread in threading.enumerate()},
            "the threads to end",
        )

    def test_who_comes_after_the_end_is_told_of_it(self, store: ProcessStore) -> None:
        told: Told = queue.SimpleQueue()
        store.add(process())
        store.emit_process_output("p1", "before")
        store.emit_process_complete("p1")
        store.on_process_output("p1", told.put)
        assert [told.get(timeout=10)["type"] for _ in range(2)] == ["status", "done"]

    def test_closing_ends_those_who_watch(self) -> None:
        before = {thread.name for thread in threading.enumerate()}
        with ProcessStore() as store:
            end = store.on_process_output("p1", print)
        until(lambda: {t.name for t in threading.enumerate()} == before, "the threads to end")
        end()


class TestBesideAServer:
    def test_http_clients_and_the_program_see_the_same_processes(self) -> None:
        with create_server(0) as server, httpx2.Client(base_url=server.url) as client:
            added = server.processes.add(process())
            assert client.get("/api/processes/p1").json() == {"process": added}
            posted = client.post("/api/processes", json=process("p2")).json()
            assert server.processes.get("p2") == posted
