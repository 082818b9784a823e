"""Whatever happens to watched files and to the server, each line is an event once, in order."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from runcast.core.errors import Unavailable
from runcast.core.events import run_log
from runcast.core.limits import INLINE_BYTES
from runcast.stores import Advance, Selection
from tests.runtime.watched import append, settings, until, watching

CRI = "2026-11-21T08:57:30.123456789Z"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


async def test_a_restart_goes_on_exactly_where_the_log_ends(data_dir: Path, root: Path) -> None:
    log = root / "a.log"
    log.write_text("")
    given = settings(data_dir, root, ingest="always")
    written: list[str] = []
    for life in range(4):
        async with watching(given) as watcher:
            await until(watcher.runs)
            for number in range(50):
                written.append(f"{life}.{number}")
                append(log, f"{written[-1]}\n")
                if number == 25:
                    await asyncio.sleep(0)  # close it anywhere
        written.append(f"between {life}")
        append(log, f"{written[-1]}\n")
    async with watching(given) as watcher:
        await watcher.until_said("a.log", *written)


async def test_a_file_that_is_rotated_while_nobody_follows_is_read_to_its_end(
    data_dir: Path, root: Path
) -> None:
    log = root / "a.log"
    log.write_text("one\n")
    async with watching(settings(data_dir, root, glob="*.log*")) as watcher:
        await until(lambda: watcher.state.not_ingested == 1)
        log.rename(root / "a.log.1")
        log.write_text("two\n")
        await watcher.until_said("a.log", "one", "two")
        await until(lambda: watcher.state.tailed == 0)
        assert await watcher.runs() == {"a.log": "running"}
        with watcher.following():
            append(log, "three\n")
            await watcher.until_said("a.log", "one", "two", "three")
            log.rename(root / "a.log.2")
            log.write_text("four\n")
            await watcher.until_said("a.log", "one", "two", "three", "four")
        (root / "b.log").write_text("")
        await watcher.until_runs(a_log="running", b_log="running")


async def test_a_file_that_is_replaced_while_the_server_is_down_is_found_again(
    data_dir: Path, root: Path
) -> None:
    log = root / "a.log"
    log.write_text("one\n")
    given = settings(data_dir, root)
    async with watching(given) as watcher:
        with watcher.following():
            await until(watcher.runs)
            await watcher.until_said("a.log", "one")
    append(log, "two\n")
    log.rename(root / "a.log.1")
    log.write_text("three\n")
    async with watching(given) as watcher:
        await watcher.until_said("a.log", "one", "two", "three")


async def test_a_truncated_file_is_announced(data_dir: Path, root: Path) -> None:
    log = root / "a.log"
    log.write_text("one\ntwo\n")
    async with watching(settings(data_dir, root, ingest="always")) as watcher:
        await until(watcher.runs)
        await watcher.until_said("a.log", "one", "two")
        log.write_text("3\n")
        await watcher.until_said("a.log", "one", "two", "<gap truncated>", "3")


async def test_a_file_that_cannot_be_read_is_told_once_until_it_can_be_again(
    data_dir: Path, root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "secret"
    outside.write_text("not for anybody\n")
    log = root / "a.log"
    log.symlink_to(outside)
    async with watching(settings(data_dir, root, ingest="always")) as watcher:
        await until(watcher.runs)
        await watcher.until_said("a.log", "<error>")
        (error,) = await watcher.events("a.log")
        assert error.data["source"] == "watch"
        assert error.data["message"].startswith("cannot read stdout of a.log: a symbolic link")
        assert watcher.state.unreadable == 1
        (root / "b.log").write_text("x\n")
        await until(lambda: watcher.state.sources == 2)
        log.unlink()
        log.write_text("one\n")
        await watcher.until_said("a.log", "<error>", "one")
        assert watcher.state.unreadable == 0


async def test_links_that_lead_out_of_the_root_are_followed_if_the_entry_says_so(
    data_dir: Path, root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "real.log"
    outside.write_text("one\n")
    (root / "a.log").symlink_to(outside)
    given = settings(data_dir, root, ingest="always", follow_links=True)
    given.api.sse.poll_interval_ms = given.api.sse.discovery_interval_ms = 60_000
    async with watching(given) as watcher:
        await until(watcher.runs)
        await watcher.until_said("a.log", "one")
        append(outside, "two\n")
        await watcher.until_said("a.log", "one", "two")


async def test_pod_logs_give_whole_lines_of_both_streams(data_dir: Path, root: Path) -> None:
    folder = root / "ns_pod_uid" / "main"
    folder.mkdir(parents=True)
    records = ["stdout P one ", "stderr F warn", "stdout P and ", "stdout F two", "stdout F three"]
    (folder / "0.log").write_text("".join(f"{CRI} {record}\n" for record in records))
    async with watching(settings(data_dir, root, recipe="kubernetes")) as watcher:
        with watcher.following(Selection(task_id="ns_pod_uid")):
            await until(lambda: watcher.state.sources)
            (run_id,) = await watcher.runs()
            await until(lambda: watcher.state.tailed)
            wanted = ["! warn", "one and two", "three"]
            await watcher.until_said(run_id, *wanted)
            append(folder / "0.log", f"{CRI} stdout F four\n")
            await watcher.until_said(run_id, *wanted, "four")
        (event, *_) = await watcher.events(run_id)
        assert event.time % 1_000_000 == 123_456


async def test_docker_logs_of_an_agent_are_read_in_its_dialect(data_dir: Path, root: Path) -> None:
    word = json.dumps({"type": "result", "is_error": False, "subtype": "success", "result": "ok"})
    records = [
        {"log": word[:20], "stream": "stdout", "time": CRI},
        {"log": "careful\n", "stream": "stderr", "time": CRI},
        {"log": word[20:] + "\n", "stream": "stdout", "time": CRI},
    ]
    (root / "a.log").write_text("".join(json.dumps(record) + "\n" for record in records))
    given = settings(data_dir, root, format="docker-json", dialect="claude", ingest="always")
    async with watching(given) as watcher:
        await until(watcher.runs)
        await watcher.until_said("a.log", "! careful")
        account = (await watcher.runtime.store.checkpoint("a.log")).state
        assert b"ok" in account


async def test_lines_that_are_too_long_for_an_event_are_kept_as_blobs(
    data_dir: Path, root: Path
) -> None:
    text = "x" * (INLINE_BYTES + 1)
    said = {"role": "assistant", "content": [{"type": "text", "text": text}]}
    line = json.dumps({"type": "assistant", "message": said})
    (root / "a.log").write_text(line + "\n")
    async with watching(settings(data_dir, root, format="claude", ingest="always")) as watcher:
        await until(watcher.runs)
        await watcher.until_said("a.log", "<message>")
        (event,) = await watcher.events("a.log")
        blob = watcher.runtime.blob(
            await watcher.runtime.get("a.log"), event.data["text_blob"]["id"]
        )
        assert blob.read_text() == text


async def test_what_storage_refuses_is_kept_until_it_does_not(
    data_dir: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []

    async def full(log: str, *_: object, **__: object) -> None:
        refused.append(log)
        raise Unavailable("storage", "the disk is full")

    (root / "a.log").write_text("one\n")
    given = settings(data_dir, root, ingest="always", end="marker", marker="done")
    async with watching(given) as watcher:
        store = watcher.runtime.store
        await until(watcher.runs)
        await watcher.until_said("a.log", "one")
        with monkeypatch.context() as patch:
            patch.setattr(store, "append", full)
            append(root / "a.log", "two\n")
            await until(lambda: len(refused) > 1)
            append(root / "a.log", "three\n")
            patch.setattr(store, "append_all", full)
            (root / "b.log").write_text("four\n")
            await until(lambda: len(refused) > 3)
            assert await watcher.said("a.log") == ["one"]
        await watcher.until_said("a.log", "one", "two", "three")
        await until(lambda: watcher.state.sources == 2)
        await watcher.until_said("b.log", "four")
        with monkeypatch.context() as patch:
            patch.setattr(store, "transition", full)
            append(root / "a.log", "five\n")
            (root / "done").touch()
            await until(lambda: refused[-1] in ("a.log", "b.log"))
        await watcher.until_runs(a_log="completed", b_log="completed")
        assert await watcher.said("a.log") == ["one", "two", "three", "five"]


async def test_a_run_that_was_read_on_by_somebody_else_goes_on_from_there(
    data_dir: Path, root: Path
) -> None:
    log = root / "a.log"
    log.write_text("one\n")
    async with watching(settings(data_dir, root, ingest="always")) as watcher:
        await until(watcher.runs)
        await watcher.until_said("a.log", "one")
        store = watcher.runtime.store
        kept = await store.checkpoint("a.log")
        await store.append(
            run_log("a.log"),
            (),
            advance=Advance(kept.offset, replace(kept, offset=kept.offset + 5)),
        )
        append(log, "two\n")
        await watcher.until_said("a.log", "one", "two")


async def test_a_busy_file_does_not_keep_the_others_waiting(data_dir: Path, root: Path) -> None:
    async with watching(settings(data_dir, root)) as watcher:
        with watcher.following():
            with (root / "busy.log").open("w") as busy:
                busy.writelines(f"{number:0100}\n" for number in range(300_000))
            (root / "calm.log").write_text("here\n")
            await until(lambda: watcher.state.sources == 2)
            await watcher.until_said("calm.log", "here")
            assert (await watcher.runtime.get("busy.log")).last_seq < 290_000


async def test_lines_of_agents_that_nobody_understands_are_counted(
    data_dir: Path, root: Path
) -> None:
    (root / "a.log").write_text("{torn\n")
    async with watching(settings(data_dir, root, format="claude", ingest="always")) as watcher:
        await until(watcher.runs)
        await watcher.until_said("a.log", "{torn")
        assert watcher.runtime.unknown_lines == {"claude": 1}


async def test_a_folder_that_is_deleted_and_made_anew_is_read_on(
    data_dir: Path, root: Path
) -> None:
    folder = root / "job"
    async with watching(settings(data_dir, root, glob="*/*.log")) as watcher:
        with watcher.following():
            for text in ("one", "two", "three"):
                folder.mkdir()
                (folder / "a.log").write_text(f"{text}\n")
                await until(watcher.runs)

                async def is_read(text: str = text) -> bool:
                    return text in await watcher.said("job.a.log")

                await until(is_read)
                shutil.rmtree(folder)
            assert await watcher.runs() == {"job.a.log": "running"}
