"""`runcast outbox`: shows what waits and what will never be sent, and what can be done about it."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from runcast.client.drafts import Draft, submit
from runcast.client.kept import Kept
from runcast.client.outbox import Outbox
from runcast.client.sync import Client
from tests.cli.commands import Ended, runcast
from tests.support.server import Server, free_port

DAY_S = 24 * 3600


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.fixture
def outbox(server: Server, tmp_path: Path) -> Iterator[Outbox]:
    with Client(server.url) as caller:
        yield Outbox(caller, tmp_path / "runcast" / "outbox.db")


def file_of(outbox: Outbox) -> Path:
    return outbox._kept._queue.path


def command(server: Server, outbox: Outbox, *words: str) -> Ended:
    """Run the command on the outbox of a user whose state is in this folder."""
    state = str(file_of(outbox).parents[1])
    return runcast(server.url, "outbox", *words, variables={"XDG_STATE_HOME": state})


def printed(done: Ended) -> str:
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def keep_tried(outbox: Outbox, draft: Draft[str]) -> str:
    """Keep something, and try in vain to send it, as if both had been two days ago."""
    then = time.time() - 2 * DAY_S
    kept = Kept(outbox.server, None, file_of(outbox), {}, clock=lambda: then)
    process_id = kept.keep(draft)
    kept._queue.take(outbox.server, kept.items()[-1].number, int(then * 1e6))
    return process_id


def test_an_empty_outbox_says_so(server: Server, outbox: Outbox) -> None:
    assert printed(command(server, outbox)) == "it is empty\n"
    assert printed(command(server, outbox, "flush")) == "sent 0 items\n"


def test_what_waits_is_listed_in_order_and_can_be_flushed(
    server: Server, outbox: Outbox, client: httpx2.Client
) -> None:
    process_id = outbox.submit("Fix it")
    outbox.emit_output(process_id, "fixed\n")
    head, *rows = printed(command(server, outbox)).splitlines()
    assert head.split() == ["ID", "STATE", "WHAT", "AGE", "SERVER", "PROCESS", "WHY"]
    shown = [(row.split()[:3], row.split()[-2:]) for row in rows]
    assert shown == [
        (["1", "waiting", "submit"], [server.url, process_id]),
        (["2", "waiting", "output"], [server.url, process_id]),
    ]
    assert printed(command(server, outbox, "flush")) == "sent 2 items\n"
    assert client.get(f"/api/processes/{process_id}").status_code == 200
    assert printed(command(server, outbox, "list")) == "it is empty\n"


def test_an_item_too_old_to_be_sent_is_reported_and_can_be_tried_or_dropped(
    server: Server, outbox: Outbox, client: httpx2.Client
) -> None:
    process_id = keep_tried(outbox, submit("first"))
    _head, row = printed(command(server, outbox)).splitlines()
    assert row.split()[:4] == ["1", "expired", "submit", "2d"]
    done = command(server, outbox, "flush")
    assert (done.returncode, done.stdout) == (1, b"sent 0 items\n")
    assert done.stderr == b"Error: 1 item set aside; see why with: runcast outbox list\n"
    again = "1 item waiting again; send with: runcast outbox flush\n"
    assert printed(command(server, outbox, "retry", "1")) == again
    assert printed(command(server, outbox, "flush")) == "sent 1 item\n"
    assert client.get(f"/api/processes/{process_id}").status_code == 200


def test_what_was_refused_is_listed_with_the_servers_words(server: Server, outbox: Outbox) -> None:
    process_id = outbox.submit("Fix it", workspace_id="nowhere")
    outbox.emit_output(process_id, "fixed")
    outbox.flush()
    [_, first, second] = printed(command(server, outbox)).splitlines()
    assert re.search(r"refused +submit .*there is no workspace 'nowhere'", first)
    assert second.endswith("(not_found); the submit of its process, item 1, was set aside")
    assert printed(command(server, outbox, "drop", "1")) == "dropped 2 items\n"


def test_several_items_are_dropped_and_retried_together(server: Server, outbox: Outbox) -> None:
    process_id = outbox.submit("Fix it", workspace_id="nowhere")
    outbox.emit_output(process_id, "fixed")
    outbox.submit("Fix that", workspace_id="nowhere")
    outbox.flush()
    again = "2 items waiting again; send with: runcast outbox flush\n"
    assert printed(command(server, outbox, "retry", "1", "2", "1")) == again
    outbox.flush()
    for action in ("drop", "drop-alone", "retry"):
        done = command(server, outbox, action, "3", "4")
        assert (done.returncode, done.stdout) == (1, b"")
        assert b"item 4 (no_item)" in done.stderr
    assert len(outbox.items()) == 3
    assert printed(command(server, outbox, "drop-alone", "1")) == "dropped 1 item\n"
    assert printed(command(server, outbox, "drop", "2", "3")) == "dropped 2 items\n"


def test_a_damaged_outbox_says_where_it_is_and_is_renewed_when_asked(
    server: Server, outbox: Outbox
) -> None:
    outbox.submit("lost")
    with file_of(outbox).open("r+b") as file:
        file.truncate(5000)
    for words in ([], ["flush"], ["list"]):
        done = command(server, outbox, *words)
        assert done.returncode == 1
        aside = re.search(rb"set aside as (\S+);", done.stderr)
        assert aside is not None
        assert os.stat(aside[1]).st_size == 5000
        assert done.stderr.endswith(b"runcast outbox renew (outbox_damaged)\n")
    assert printed(command(server, outbox, "renew")).startswith("begun anew; the old file is ")
    assert printed(command(server, outbox, "renew")) == "the outbox is whole\n"
    assert printed(command(server, outbox)) == "it is empty\n"


def test_a_file_that_is_no_outbox_is_left_alone(server: Server, tmp_path: Path) -> None:
    notes = tmp_path / "my notes.txt"
    notes.write_text("my thesis" * 50)
    for words in ([], ["flush"], ["drop", "1"]):
        done = runcast(server.url, "outbox", *words, "--file", str(notes))
        assert done.returncode == 1
        hint = f"runcast outbox renew --file '{notes}' (outbox_storage)\n"
        assert done.stderr.decode().endswith(hint)
    assert list(tmp_path.iterdir()) == [notes]
    assert notes.read_text() == "my thesis" * 50


def test_looking_at_a_file_that_is_not_there_makes_none(server: Server, tmp_path: Path) -> None:
    for words, said in (([], "it is empty\n"), (["flush"], "sent 0 items\n")):
        done = runcast(server.url, "outbox", *words, "--file", str(tmp_path / "a" / "typo.db"))
        assert printed(done) == said
    assert list(tmp_path.iterdir()) == []


def test_the_next_command_is_for_the_same_file(server: Server, outbox: Outbox) -> None:
    outbox.submit("Fix it", workspace_id="nowhere")
    file = str(file_of(outbox))
    done = runcast(server.url, "outbox", "flush", "--file", file)
    assert done.stderr.decode().endswith(f"see why with: runcast outbox list --file {file}\n")
    done = runcast(server.url, "outbox", "retry", "1", "--file", file)
    assert done.stdout.decode().endswith(f"send with: runcast outbox flush --file {file}\n")


def test_without_a_server_everything_stays(server: Server, outbox: Outbox) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    file = file_of(outbox)
    with Client(url) as nowhere:
        Outbox(nowhere, file).submit("kept")
    done = runcast(url, "outbox", "flush", "--file", str(file))
    assert done.returncode == 1
    assert done.stderr.endswith(b"start one with: runcast serve (no_server)\n")
    done = command(server, outbox, "flush")
    assert (done.returncode, done.stdout) == (0, b"sent 0 items\n")
    assert done.stderr.decode() == f"1 item waiting for {url}\n"
    assert url in printed(command(server, outbox))


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["drop"], b"drop takes an ID", 2),
        (["retry"], b"retry takes an ID", 2),
        (["flush", "3"], b"flush takes no ID", 2),
        (["drop", "x"], b"'x' is not a valid integer", 2),
        (["burn"], b"'burn' is not one of", 2),
        (["drop", "3"], b"there is no item 3 (no_item)", 1),
        (["retry", "3"], b"nothing was set aside as item 3", 1),
    ],
)
def test_what_cannot_be_done_is_said(
    server: Server, outbox: Outbox, words: list[str], said: bytes, code: int
) -> None:
    done = command(server, outbox, *words)
    assert (done.returncode, done.stdout) == (code, b"")
    assert said in done.stderr
