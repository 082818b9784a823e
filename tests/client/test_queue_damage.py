"""The outbox's file when it is damaged, something else, or out of reach."""

import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast.client.queue_file import (
    NoOutbox,
    OutboxDamaged,
    OutboxError,
    QueueFile,
)
from runcast.client.queue_folder import set_aside, set_aside_before
from tests.client.queues import (
    LAST,
    NOW,
    SERVER,
    drain,
    keep,
    listed,
    new_queue,
    request,
)


@pytest.fixture
def queue(tmp_path: Path) -> QueueFile:
    return new_queue(tmp_path / "state" / "outbox.db")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:4096] + os.urandom(len(data) - 4096),
        lambda data: data.replace(b"items", b"itens"),
        lambda data: data.replace(b"a body to send", b"a body to bend"),
        # Only in the rows: the first place is in the schema.
        lambda data: data.replace(b"waiting", b"wailing").replace(b"wailing", b"waiting", 1),
        lambda data: data.replace(SERVER.encode(), b"\xff" * len(SERVER)),
    ],
    ids=["half", "random", "table", "body", "state", "encoding"],
)
def test_a_damaged_file_is_set_aside_and_nothing_of_it_is_sent(
    queue: QueueFile, damage: Callable[[bytes], bytes]
) -> None:
    keep(queue, *(request(body=b'"a body to send"' * 40) for _ in range(30)))
    damaged = damage(queue.path.read_bytes())
    queue.path.write_bytes(damaged)
    with pytest.raises(OutboxDamaged, match="runcast outbox renew") as caught:
        queue.check()
    aside = caught.value.aside
    assert str(aside) in caught.value.message
    assert aside.read_bytes() == damaged
    assert listed(queue) == [aside]
    for call in (lambda: keep(queue, request()), lambda: queue.items(NOW), queue.check):
        with pytest.raises(OutboxDamaged) as again:
            call()
        assert again.value.aside == aside
    assert queue.renew() == aside
    assert keep(queue, request()) == [1]
    assert listed(queue) == [queue.path, aside]


def test_whatever_bytes_change_nothing_else_is_sent_than_what_was_kept(queue: QueueFile) -> None:
    bodies = [os.urandom(random.randrange(3000)) for _ in range(12)]
    keep(queue, *(request(body=body) for body in bodies))
    whole = queue.path.read_bytes()
    noticed = 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(random.choice([1, 1, 1, 16])):
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        queue.path.write_bytes(data)
        sent: list[bytes] = []
        try:
            queue.check()
            sent = drain(queue)
            assert sent == bodies
        except OutboxError:
            noticed += 1
            assert sent == []
    assert noticed > 75


def test_renewing_leaves_a_whole_file_as_it_is(queue: QueueFile) -> None:
    keep(queue, request(body=b"kept"))
    assert queue.renew() is None
    assert drain(queue) == [b"kept"]


def test_the_next_file_is_not_set_aside_for_the_one_before(queue: QueueFile) -> None:
    keep(queue, request(body=b"kept"))
    set_aside(queue.path, queue.path.stat().st_ino + 1)
    assert drain(queue) == [b"kept"]


def test_a_journal_goes_with_its_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    for name in ("outbox.db", "outbox.db-journal"):
        (tmp_path / name).write_text(name)
    aside = set_aside(path, path.stat().st_ino)
    assert set_aside_before(path) == aside
    assert Path(f"{aside}-journal").read_text() == "outbox.db-journal"
    assert sorted(tmp_path.iterdir()) == [aside, Path(f"{aside}-journal")]


def foreign_database(path: Path, pragma: str = "application_id = 7") -> bytes:
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA {pragma}")
    db.execute("CREATE TABLE notes (text)")
    db.close()
    return path.read_bytes()


def outbox_of_another_version(path: Path) -> None:
    keep(new_queue(path), request())
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 7")
    db.close()


FOREIGN: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.touch(),
    "text": lambda path: path.write_text("my thesis" * 500),
    "zeroes": lambda path: path.write_bytes(bytes(8192)),
    "database": foreign_database,
    "nobody's database": lambda path: foreign_database(path, "cache_size = 7"),
    "version": outbox_of_another_version,
}


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN.keys())
def test_what_is_no_outbox_is_left_alone_until_it_is_to_be_renewed(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    queue = new_queue(tmp_path / "notes.txt")
    make(queue.path)
    before = queue.path.read_bytes()
    for call in (lambda: keep(queue, request()), lambda: queue.items(NOW), queue.check):
        with pytest.raises(NoOutbox, match=f"renew --file {queue.path}") as caught:
            call()
        assert caught.value.code == "outbox_storage"
    assert (listed(queue), queue.path.read_bytes()) == ([queue.path], before)
    aside = queue.renew()
    assert aside is not None
    assert aside.read_bytes() == before
    assert keep(queue, request()) == [1]


def test_only_keeping_begins_a_file(queue: QueueFile) -> None:
    assert queue.items(NOW) == []
    assert queue.waiting(SERVER) == (0, 0)
    assert queue.take(SERVER, LAST, NOW) is None
    assert queue.renew() is None
    queue.check()
    for change in (queue.drop, queue.drop_alone):
        with pytest.raises(OutboxError, match="there is no item 1"):
            change([1])
    assert not queue.path.parent.exists()


def test_looking_changes_nothing_of_the_file(queue: QueueFile) -> None:
    keep(queue, request())
    before = queue.path.stat()
    queue.items(NOW)
    queue.waiting(SERVER)
    queue.check()
    after = queue.path.stat()
    assert (after.st_ctime_ns, after.st_mtime_ns) == (before.st_ctime_ns, before.st_mtime_ns)


def test_a_file_with_two_names_is_one_outbox(queue: QueueFile, tmp_path: Path) -> None:
    keep(queue, request())
    (tmp_path / "link.db").symlink_to(queue.path)
    linked = new_queue(tmp_path / "link.db")
    keep(linked, request(body=b"by another name"))
    with queue.turn_to_send() as first, linked.turn_to_send() as second:
        assert (first, second) == (True, False)
    assert drain(queue) == [b"{}", b"by another name"]


def test_what_is_no_path_is_said() -> None:
    with pytest.raises(OutboxError, match="is no path") as caught:
        new_queue(Path("a\0b"))
    assert caught.value.code == "outbox_storage"


def test_a_place_that_cannot_hold_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "outbox.db", tmp_path):
        with pytest.raises(OutboxError, match="cannot be used") as caught:
            keep(new_queue(path), request())
        assert caught.value.code == "outbox_storage"
