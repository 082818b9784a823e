"""The outbox's file: order, bounds, age, what belongs together, and whose turn it is."""

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from runcast.client.queue_file import (
    OutboxError,
    OutboxFull,
    QueueFile,
)
from runcast.client.queue_rows import KEY_LIFE_S, Item
from tests.client.queues import (
    LAST,
    NOW,
    SECOND,
    SERVER,
    drain,
    forget_first,
    keep,
    listed,
    new_queue,
    refuse_first,
    refuse_unknown,
    request,
    states,
    take,
)


@pytest.fixture
def queue(tmp_path: Path) -> QueueFile:
    return new_queue(tmp_path / "state" / "outbox.db")


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
    assert queue.take(SERVER, 1, NOW) is None


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
    keep(queue, request())
    refuse_first(queue)
    with pytest.raises(OutboxFull):
        keep(queue, request())


def test_what_was_tried_longer_ago_than_its_keys_life_is_set_aside(queue: QueueFile) -> None:
    keep(queue, request(body=b"old"))
    take(queue)
    later = NOW + (KEY_LIFE_S + 1) * SECOND
    keep(queue, request(body=b"new"), now=later)
    assert drain(queue, later) == [b"new"]
    assert states(queue, later) == [(1, "expired")]
    assert queue.waiting(SERVER) == (0, 0)
    # A clock that is set back does not bring a dead key to life.
    assert states(queue) == [(1, "expired")]
    assert drain(queue) == []


def test_what_was_never_tried_is_sent_however_old_it_is(queue: QueueFile) -> None:
    keep(queue, request(body=b"kept for a year"))
    later = NOW + 365 * 24 * 3600 * SECOND
    assert states(queue, later) == [(1, "waiting")]
    assert drain(queue, later) == [b"kept for a year"]


def test_what_was_never_tried_is_sent_wherever_the_clock_goes(queue: QueueFile) -> None:
    keep(queue, request(body=b"of the future"), now=NOW + 3600 * SECOND)
    assert drain(queue) == [b"of the future"]


def test_the_life_of_a_key_begins_with_the_first_attempt_and_no_later_one(
    queue: QueueFile,
) -> None:
    keep(queue, request())
    for hours in (0, 12, 23):
        assert take(queue, now=NOW + hours * 3600 * SECOND)[0].number == 1
    assert queue.take(SERVER, LAST, NOW + (KEY_LIFE_S + 1) * SECOND) is None


def test_what_was_tried_in_the_future_has_no_age_and_is_not_sent(queue: QueueFile) -> None:
    keep(queue, request())
    take(queue, now=NOW + 3600 * SECOND)
    assert drain(queue) == []
    assert states(queue) == [(1, "expired")]


def test_a_list_tells_what_has_expired_and_changes_nothing(queue: QueueFile) -> None:
    keep(queue, request())
    take(queue)
    before = queue.path.read_bytes()
    assert states(queue, NOW + KEY_LIFE_S * SECOND) == [(1, "waiting")]
    assert states(queue, NOW + (KEY_LIFE_S + 1) * SECOND) == [(1, "expired")]
    assert states(queue, NOW - 3600 * SECOND) == [(1, "expired")]
    assert queue.path.read_bytes() == before
    assert drain(queue) == [b"{}"]


def test_what_a_list_calls_expired_can_be_retried(queue: QueueFile) -> None:
    keep(queue, request())
    take(queue)
    later = NOW + (KEY_LIFE_S + 1) * SECOND
    assert queue.retry([1], later, lambda: "another") == 1
    assert drain(queue, later) == [b"{}"]


def test_what_follows_a_refused_submit_is_sent(queue: QueueFile) -> None:
    keep(queue, request("submit"), request(body=b"of a process that the server may know"))
    refuse_first(queue, "a run with the id p exists (id_taken)")
    assert drain(queue) == [b"of a process that the server may know"]


def test_what_is_of_no_known_process_belongs_to_the_submit_that_was_set_aside(
    queue: QueueFile,
) -> None:
    of_another = [request("submit", "q"), request(process="r")]
    keep(queue, request("submit"), request(), *of_another)
    refuse_first(queue, "no such workspace (bad_request)")
    keep(queue, request("update"))
    assert refuse_unknown(queue) == [b"{}"]
    unknown = "there is none (not_found)"
    because = f"{unknown}; the submit of its process, item 1, was set aside"
    assert [(item.number, item.state, item.because, item.said) for item in queue.items(NOW)] == [
        (1, "refused", None, "no such workspace (bad_request)"),
        (2, "refused", 1, because),
        (4, "refused", None, unknown),
        (5, "refused", 1, because),
    ]


def test_what_is_refused_for_another_reason_belongs_to_nothing(queue: QueueFile) -> None:
    keep(queue, request("submit"), request("update"), request(body=b"after"))
    refuse_first(queue)
    refuse_first(queue)
    assert drain(queue) == [b"after"]
    assert [item.because for item in queue.items(NOW)] == [None, None]


def test_messages_belong_to_no_process(queue: QueueFile) -> None:
    keep(queue, request("submit"), request("message", None))
    refuse_first(queue)
    queue.refuse_unknown(take(queue)[0], "no such parent (not_found)")
    assert queue.items(NOW)[1].because is None


def test_a_retry_brings_back_what_belongs_together_in_its_order(queue: QueueFile) -> None:
    keep(queue, request("submit", body=b"1"), request(body=b"2"), request("message", None, b"3"))
    refuse_first(queue)
    assert refuse_unknown(queue) == [b"3"]
    keep(queue, request("message", None, b"4"))
    later = NOW + (KEY_LIFE_S + 1) * SECOND
    assert queue.retry([1], later, lambda: str(uuid4())) == 2
    assert drain(queue, later) == [b"1", b"2", b"4"]


def test_a_retry_gives_a_new_key_and_a_new_life(queue: QueueFile) -> None:
    first = request()
    keep(queue, first)
    refuse_first(queue)
    later = NOW + (KEY_LIFE_S + 1) * SECOND
    queue.retry([1], later, lambda: "another")
    [item] = queue.items(later)
    assert (item.kept_at, item.tried_at) == (later, None)
    found = take(queue, now=later)[1]
    assert (found.key, found.body) == ("another", first.body)


def test_dropping_a_submit_drops_what_was_set_aside_because_of_it(queue: QueueFile) -> None:
    keep(queue, request("submit"), request(), request("message", None))
    refuse_first(queue)
    refuse_unknown(queue)
    assert queue.drop([1]) == 2
    assert queue.items(NOW) == []


def test_a_submit_can_be_dropped_alone(queue: QueueFile) -> None:
    keep(queue, request("submit"), request(body=b"kept"))
    refuse_first(queue)
    refuse_unknown(queue)
    assert queue.drop_alone([1]) == 1
    assert states(queue) == [(2, "refused")]
    assert queue.retry([2], NOW, lambda: "another") == 1
    assert drain(queue) == [b"kept"]


@pytest.mark.parametrize(
    ("numbers", "dropped"), [([1, 2], 2), ([2, 1], 2), ([1, 1], 2), ([2], 1), ([2, 2, 3], 2)]
)
def test_several_can_be_dropped_and_retried_at_once_in_any_order(
    queue: QueueFile, numbers: list[int], dropped: int
) -> None:
    keep(queue, request("submit"), request(), request("submit", "q"))
    refuse_first(queue)
    queue.refuse_unknown(take(queue)[0], "no")
    refuse_first(queue)
    assert queue.retry(numbers, NOW, lambda: "another") == dropped
    assert queue.waiting(SERVER)[0] == dropped
    keep(queue, request("submit", "r"))
    assert queue.drop([*numbers, 4]) == len({*numbers, 4})


@pytest.mark.parametrize("numbers", [[3], [1, 3], [3, 1], [1, 2, 3]])
def test_all_or_nothing_is_dropped_and_retried(queue: QueueFile, numbers: list[int]) -> None:
    keep(queue, request("submit"), request("submit", "q"))
    refuse_first(queue)
    refuse_first(queue)
    before = queue.items(NOW)
    changes: list[Callable[[], int]] = [
        lambda: queue.drop(numbers),
        lambda: queue.drop_alone(numbers),
        lambda: queue.retry(numbers, NOW, lambda: "another"),
    ]
    for change in changes:
        with pytest.raises(OutboxError, match="item 3") as caught:
            change()
        assert caught.value.code == "no_item"
    assert queue.items(NOW) == before


def test_what_waits_cannot_be_retried(queue: QueueFile) -> None:
    keep(queue, request())
    with pytest.raises(OutboxError, match="nothing was set aside as item 1"):
        queue.retry([1], NOW, lambda: "another")


def test_only_one_at_a_time_has_the_turn_to_send(queue: QueueFile) -> None:
    keep(queue, request())
    with queue.turn_to_send() as first, new_queue(queue.path).turn_to_send() as second:
        assert (first, second) == (True, False)
    with queue.turn_to_send() as third:
        assert third


def test_a_forked_child_does_not_keep_the_turn(queue: QueueFile) -> None:
    program = (
        "import os, sys, time; from pathlib import Path\n"
        "from runcast.client.queue_file import QueueFile\n"
        f"queue = QueueFile(Path({str(queue.path)!r}), 1, 1)\n"
        "with queue.turn_to_send() as first:\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        sys.stdin.read(); os._exit(0)\n"
        "with queue.turn_to_send() as second:\n"
        "    print(first, second)\n"
        "sys.stdin.read(); os.waitpid(child, 0)"
    )
    keep(queue, request())
    pipe = subprocess.PIPE
    child = subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "True True\n"
    child.communicate()
    assert child.returncode == 0


def test_the_turn_ends_with_a_process_that_is_killed(queue: QueueFile) -> None:
    keep(queue, request())
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
    while (found := queue.take(SERVER, LAST, NOW)) is not None:
        by_process.setdefault(found[0].process, []).append(found[1].body)
        queue.forget(found[0])
    assert by_process == {name: [b"%d" % number for number in range(25)] for name in "abcd"}


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
        tried_at=None,
        size=item.size,
        because=None,
        said="",
    )
    assert 100 < item.size < 400
