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


def command(server: Server, outbox: Outbox, *words: str) -> Ended:
    """Run the command on the outbox of a user whose state is in this folder."""
    state = str(outbox._kept.path.parents[1])
    return runcast(server.url, "outbox", *words, variables={"XDG_STATE_HOME": state})


def printed(done: Ended) -> str:
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def keep_old(server: Server, outbox: Outbox, draft: Draft[str]) -> str:
    """Keep something as if it had been two days ago."""
    then = time.time() - 2 * DAY_S
    return Kept(server.url, None, outbox._kept.path, {}, clock=lambda: then).keep(draft)


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
    first = keep_old(server, outbox, submit("first"))
    second = keep_old(server, outbox, submit("second"))
    [_, *rows] = printed(command(server, outbox)).splitlines()
    assert [row.split()[:4] for row in rows] == [
        ["1", "expired", "submit", "2d"],
        ["2", "expired", "submit", "2d"],
    ]
    done = command(server, outbox, "flush")
    assert (done.returncode, done.stdout) == (0, b"sent 0 items\n")
    assert done.stderr == b"2 items set aside; see why with: runcast outbox\n"
    assert printed(command(server, outbox, "drop", "2")) == "dropped 1 item\n"
    again = "1 item waiting again; send with: runcast outbox flush\n"
    assert printed(command(server, outbox, "retry", "1")) == again
    assert printed(command(server, outbox, "flush")) == "sent 1 item\n"
    found = [client.get(f"/api/processes/{each}").status_code for each in (first, second)]
    assert found == [200, 404]


def test_what_was_refused_is_listed_with_the_servers_words(server: Server, outbox: Outbox) -> None:
    process_id = outbox.submit("Fix it", status="nonsense")
    outbox.emit_output(process_id, "fixed")
    outbox.flush()
    [_, first, second] = printed(command(server, outbox)).splitlines()
    assert re.search(r"refused +submit .*status: .*\(bad_request\)$", first)
    assert second.endswith("the submit of its process, item 1, was set aside")
    assert printed(command(server, outbox, "drop", "1")) == "dropped 2 items\n"


def test_a_damaged_outbox_says_where_it_is_and_is_renewed_when_asked(
    server: Server, outbox: Outbox
) -> None:
    outbox.submit("lost")
    path = outbox._kept.path
    path.write_bytes(b"nonsense" * 100)
    for words in ([], ["flush"], ["list"]):
        done = command(server, outbox, *words)
        assert done.returncode == 1
        aside = re.search(rb"set aside as (\S+);", done.stderr)
        assert aside is not None
        assert os.stat(aside[1]).st_size == 800
        assert done.stderr.endswith(b"runcast outbox renew (outbox_damaged)\n")
    assert printed(command(server, outbox, "renew")) == "the outbox is whole\n"
    assert printed(command(server, outbox)) == "it is empty\n"


def test_without_a_server_everything_stays(server: Server, outbox: Outbox) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    file = str(outbox._kept.path)
    with Client(url) as nowhere:
        Outbox(nowhere, outbox._kept.path).submit("kept")
    done = runcast(url, "outbox", "flush", "--file", file)
    assert done.returncode == 1
    assert done.stderr.endswith(b"start one with: runcast serve (no_server)\n")
    assert printed(command(server, outbox, "flush")) == "sent 0 items\n"
    assert url in printed(command(server, outbox))


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["drop"], b"drop takes an ID", 2),
        (["retry"], b"retry takes an ID", 2),
        (["flush", "3"], b"flush takes no ID", 2),
        (["drop", "x"], b"'x' is not a valid integer", 2),
        (["burn"], b"'burn' is not one of", 2),
        (["drop", "3"], b"there is no item 3", 1),
        (["retry", "3"], b"nothing was set aside as item 3", 1),
    ],
)
def test_what_cannot_be_done_is_said(
    server: Server, outbox: Outbox, words: list[str], said: bytes, code: int
) -> None:
    done = command(server, outbox, *words)
    assert (done.returncode, done.stdout) == (code, b"")
    assert said in done.stderr
