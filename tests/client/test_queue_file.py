"""The outbox's file: order, bounds, age, who may read it, and what becomes of it when damaged."""

import os
import random
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from runcast.client.queue_file import OutboxDamaged, OutboxError, OutboxFull, QueueFile
from runcast.client.queue_folder import set_aside, set_aside_before
from runcast.client.queue_rows import KEY_LIFE_S, Item, Request

SERVER = "http://127.0.0.1:7890"
NOW = 1_795_275_072_000_000
LAST = 10**9
SECOND = 1_000_000


@pytest.fixture
def queue(tmp_path: Path) -> QueueFile:
    return new_queue(tmp_path / "state" / "outbox.db")


def new_queue(path: Path, max_items: int = 1000, max_bytes: int = 10_000_000) -> QueueFile:
    return QueueFile(path, max_items, max_bytes)


def request(kind: str = "output", process: str | None = "p", body: bytes = b"{}") -> Request:
    return Request(
        kind=kind,
        process=process,
        method="POST",
        path="/api/processes",
        headers={},
        body=body,
        key=str(uuid4()),
    )


def keep(queue: QueueFile, *requests: Request, now: int = NOW) -> list[int]:
    return [queue.keep(SERVER, each, now) for each in requests]


def drain(queue: QueueFile, now: int = NOW) -> list[bytes]:
    sent = []
    while (found := queue.first(SERVER, LAST, now)) is not None:
        item, first = found
        sent.append(first.body)
        queue.forget(item)
    return sent


def forget_first(queue: QueueFile, last: int = LAST) -> bytes:
    found = queue.first(SERVER, last, NOW)
    assert found is not None
    queue.forget(found[0])
    return found[1].body


def states(queue: QueueFile, now: int = NOW) -> list[tuple[int, str]]:
    return [(item.number, item.state) for item in queue.items(now)]


def test_items_are_had_in_the_order_in_which_they_were_kept(queue: QueueFile) -> None:
    bodies = [b"%d" % number for number in range(20)]
    keep(queue, *(request(body=body) for body in bodies))
    assert queue.waiting(SERVER) == (20, 20)
    assert drain(new_queue(queue.path)) == bodies
    assert queue.waiting(SERVER) == (0, 0)


def test_a_number_is_never_used_again(queue: QueueFile) -> None:
    assert keep(queue, request()) == [1]
    drain(queue)
    assert keep(queue, request()) == [2]


def test_what_is_for_another_server_stays(queue: QueueFile) -> None:
    queue.keep("http://elsewhere", request(), NOW)
    assert drain(queue) == []
    assert queue.waiting("http://elsewhere") == (1, 1)


def test_later_items_than_asked_for_stay(queue: QueueFile) -> None:
    keep(queue, request(), request(body=b"later"))
    assert forget_first(queue, last=1) == b"{}"
    assert queue.first(SERVER, 1, NOW) is None


def test_only_its_owner_can_read_the_file_or_look_into_its_folder(queue: QueueFile) -> None:
    before = os.umask(0)
    try:
        keep(queue, request())
        with queue.turn_to_send():
            made = {path.name: stat.S_IMODE(path.stat().st_mode) for path in listed(queue)}
    finally:
        os.umask(before)
    assert made == {"outbox.db": 0o600, "outbox.db.lock": 0o600}
    assert stat.S_IMODE(queue.path.parent.stat().st_mode) == 0o700


def test_a_file_that_others_could_read_is_made_private(queue: QueueFile) -> None:
    keep(queue, request())
    queue.path.chmod(0o644)
    keep(queue, request())
    assert stat.S_IMODE(queue.path.stat().st_mode) == 0o600


def test_a_full_outbox_refuses_and_drops_nothing(tmp_path: Path) -> None:
    queue = new_queue(tmp_path / "outbox.db", max_items=2)
    keep(queue, request(), request())
    with pytest.raises(OutboxFull, match="2 items"):
        keep(queue, request())
    assert states(queue) == [(1, "waiting"), (2, "waiting")]
    forget_first(queue)
    keep(queue, request())


def test_too_many_bytes_are_refused_and_nothing_is_dropped(tmp_path: Path) -> None:
    queue = new_queue(tmp_path / "outbox.db", max_bytes=5000)
    keep(queue, request(body=b"x" * 4000))
    with pytest.raises(OutboxFull):
        keep(queue, request(body=b"x" * 1000))
    assert drain(queue) == [b"x" * 4000]


def test_what_was_set_aside_counts_as_kept(tmp_path: Path) -> None:
    queue = new_queue(tmp_path / "outbox.db", max_items=1)
    queue.refuse(keep(queue, request())[0], "no")
    with pytest.raises(OutboxFull):
        keep(queue, request())


def test_an_item_older_than_its_keys_life_is_set_aside_and_never_sent(queue: QueueFile) -> None:
    keep(queue, request(body=b"old"))
    later = NOW + (KEY_LIFE_S + 1) * SECOND
    keep(queue, request(body=b"new"), now=later)
    assert drain(queue, later) == [b"new"]
    assert states(queue) == [(1, "expired")]
    assert queue.waiting(SERVER) == (0, 0)


def test_a_list_tells_what_has_expired_before_anything_is_sent(queue: QueueFile) -> None:
    keep(queue, request())
    assert states(queue, NOW + KEY_LIFE_S * SECOND) == [(1, "waiting")]
    assert states(queue, NOW + (KEY_LIFE_S + 1) * SECOND) == [(1, "expired")]
    # A clock that is set back does not bring a dead key to life.
    assert drain(queue, NOW) == []


def test_an_item_from_the_future_has_no_age_and_is_not_sent(queue: QueueFile) -> None:
    keep(queue, request(), now=NOW + 3600 * SECOND)
    assert drain(queue) == []
    assert states(queue) == [(1, "expired")]


def test_what_follows_a_refused_submit_is_set_aside_with_it(queue: QueueFile) -> None:
    keep(
        queue, request("submit"), request(), request("submit", "q"), request(body=b"q", process="q")
    )
    queue.refuse(1, "no such workspace (bad_request)")
    keep(queue, request("update"))
    assert drain(queue) == [b"{}", b"q"]
    assert [(item.number, item.state, item.because, item.said) for item in queue.items(NOW)] == [
        (1, "refused", None, "no such workspace (bad_request)"),
        (2, "refused", 1, "the submit of its process, item 1, was set aside"),
        (5, "refused", 1, "the submit of its process, item 1, was set aside"),
    ]


def test_what_follows_anything_else_that_was_refused_is_sent(queue: QueueFile) -> None:
    keep(queue, request("submit"), request("update"), request(body=b"after"))
    forget_first(queue)
    queue.refuse(2, "no")
    assert drain(queue) == [b"after"]


def test_a_second_submit_of_the_process_makes_up_for_the_first(queue: QueueFile) -> None:
    again = [request("submit", body=b"again"), request(body=b"of the second")]
    keep(queue, request("submit"), request(), *again)
    queue.refuse(1, "no")
    assert drain(queue) == [b"again", b"of the second"]
    keep(queue, request(body=b"later"))
    assert drain(queue) == [b"later"]
    assert states(queue) == [(1, "refused"), (2, "refused")]
    assert queue.drop(1) == 2


def test_messages_belong_to_no_process_and_are_sent(queue: QueueFile) -> None:
    keep(queue, request("submit"), request("message", None, b"hello"))
    queue.refuse(1, "no")
    assert drain(queue) == [b"hello"]


def test_a_retry_brings_back_what_belongs_together_in_its_order(queue: QueueFile) -> None:
    keep(queue, request("submit", body=b"1"), request(body=b"2"), request("message", None, b"3"))
    queue.refuse(1, "no")
    assert drain(queue) == [b"3"]
    keep(queue, request("message", None, b"4"))
    later = NOW + (KEY_LIFE_S + 1) * SECOND
    assert queue.retry(1, later, lambda: str(uuid4())) == 2
    assert queue.retry(1, later, lambda: str(uuid4())) == 0
    assert drain(queue, later) == [b"1", b"2"]


def test_a_retry_gives_a_new_key(queue: QueueFile) -> None:
    first = request()
    keep(queue, first)
    queue.refuse(1, "no")
    queue.retry(1, NOW, lambda: "another")
    found = queue.first(SERVER, LAST, NOW)
    assert found is not None
    assert (found[1].key, found[1].body) == ("another", first.body)


def test_dropping_a_submit_drops_what_was_set_aside_because_of_it(queue: QueueFile) -> None:
    keep(queue, request("submit"), request(), request("message", None))
    queue.refuse(1, "no")
    drain(queue)
    assert queue.drop(1) == 2
    assert queue.drop(1) == 0
    assert queue.items(NOW) == []


def test_only_one_at_a_time_has_the_turn_to_send(queue: QueueFile) -> None:
    with queue.turn_to_send() as first, new_queue(queue.path).turn_to_send() as second:
        assert (first, second) == (True, False)
    with queue.turn_to_send() as third:
        assert third


def test_the_turn_ends_with_a_process_that_is_killed(queue: QueueFile) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from runcast.client.queue_file import QueueFile\n"
        f"with QueueFile(Path({str(queue.path)!r}), 1, 1).turn_to_send() as mine:\n"
        "    print(mine, flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == "True\n"
        with queue.turn_to_send() as mine:
            assert not mine
        child.kill()
        child.wait()
    with queue.turn_to_send() as mine:
        assert mine


def test_threads_that_keep_at_once_lose_nothing(queue: QueueFile) -> None:
    def keep_some(name: str) -> None:
        keep(queue, *(request(process=name, body=b"%d" % number) for number in range(25)))

    threads = [threading.Thread(target=keep_some, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    by_process: dict[str | None, list[bytes]] = {}
    while (found := queue.first(SERVER, LAST, NOW)) is not None:
        by_process.setdefault(found[0].process, []).append(found[1].body)
        queue.forget(found[0])
    assert by_process == {name: [b"%d" % number for number in range(25)] for name in "abcd"}


# Files that are damaged, foreign or out of reach.


def listed(queue: QueueFile) -> list[Path]:
    return sorted(queue.path.parent.iterdir())


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"\0" * len(data),
        lambda data: b"nonsense" * 1000,
        lambda data: data[: len(data) // 2],
        lambda data: data[:4096] + os.urandom(len(data) - 4096),
        lambda data: data.replace(b"items", b"itens"),
        lambda data: data.replace(b"a body to send", b"a body to bend"),
        # Only in the rows: the first place is in the schema.
        lambda data: data.replace(b"waiting", b"wailing").replace(b"wailing", b"waiting", 1),
        lambda data: data.replace(SERVER.encode(), b"\xff" * len(SERVER)),
    ],
    ids=["empty", "zeroed", "text", "half", "random", "table", "body", "state", "encoding"],
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
    queue.renew()
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
    queue.renew()
    keep(queue, request(body=b"kept"))
    queue.renew()
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


def test_the_database_of_another_program_is_left_alone(queue: QueueFile) -> None:
    queue.path.parent.mkdir()
    db = sqlite3.connect(queue.path)
    db.execute("CREATE TABLE notes (text)")
    db.close()
    before = queue.path.read_bytes()
    with pytest.raises(OutboxError, match="another program") as caught:
        keep(queue, request())
    assert caught.value.code == "outbox_storage"
    queue_files = listed(queue)
    assert (queue_files, queue.path.read_bytes()) == ([queue.path], before)


def test_a_place_that_cannot_hold_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "outbox.db", tmp_path):
        with pytest.raises(OutboxError, match="cannot be used") as caught:
            keep(new_queue(path), request())
        assert caught.value.code == "outbox_storage"


def test_an_item_says_what_it_is(queue: QueueFile) -> None:
    keep(queue, request("submit", body=b"x" * 100))
    [item] = queue.items(NOW)
    assert item == Item(
        number=1,
        state="waiting",
        server=SERVER,
        kind="submit",
        process="p",
        kept_at=NOW,
        size=item.size,
        because=None,
        said="",
    )
    assert 100 < item.size < 400
