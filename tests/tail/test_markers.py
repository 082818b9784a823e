"""What markers say: exit codes, statuses, records, junk."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.tail.markers import MARKER_BYTES, Ending, read_marker

NOON = 1_762_344_000_000_000  # 2025-11-05T12:00:00Z
COMPLETED = Ending("completed")

# As conductors write it while a run goes on, and at its end.
RECORD = """\
run_id: 20251105-1159000000-12345
project_id: shop
task_id: task-20251105-login
agent: claude
pid: 12345
start_time: 2025-11-05T11:59:00.123456789Z
end_time: {end_time}
exit_code: {exit_code}
status: {status}
"""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", COMPLETED),
        ("\n", COMPLETED),
        ("0\n", Ending("completed", 0)),
        ("3", Ending("failed", 3)),
        ("+3\r\n", Ending("failed", 3)),
        ("-9", Ending("failed", signal="SIGKILL")),
        ("137", Ending("failed", 137)),
        ("finished at noon", COMPLETED),
        ("failed", Ending("failed")),
        ("Canceled\n", Ending("cancelled")),
        ("running", None),
        ("- 1\n- 2", COMPLETED),
        ("[running]", COMPLETED),
        ("{}", COMPLETED),
        ("a: b: c", COMPLETED),
        ("note: all went well", COMPLETED),
        ("exit_code: 0", Ending("completed", 0)),
        ('exit_code: "2"', Ending("failed", 2)),
        ("exit_code: null", None),
        ("exit_code: -1", None),
        ("exit_code:", None),
        ("exit_code: soon", None),
        ("exit_code: null\nended_at: 2025-11-05T12:00:00Z", COMPLETED._replace(ended_at=NOON)),
        ("exit_code: -1\nended_at: 2025-11-05T12:00:00Z", Ending("failed", ended_at=NOON)),
        ("exit_code: null\nend_time: some time", COMPLETED),
        ("exit_code: null\nend_time: 0001-01-01T00:00:00Z", None),
        ("exit_code: null\nend_time: 0", None),
        ("exit_code: null\nend_time: ~", None),
        ("status: paused", None),
        ("status: paused\nexit_code: 0", Ending("completed", 0)),
        ("status: completed", COMPLETED),
        ("status: completed\nexit_code: null", COMPLETED),
        ("status: success\nexit_code: 4", Ending("failed", 4)),
        ("status: failed\nexit_code: 0", Ending("failed", 0)),
        ("status: cancelled\nexit_code: 143", Ending("cancelled", 143)),
        ("status: in-progress\nexit_code: 0", None),
        ("status: running\nend_time: 2025-11-05T12:00:00Z", None),
        ("signal: SIGTERM", Ending("failed", signal="SIGTERM")),
        ("signal: kill\nstatus: failed", Ending("failed", signal="SIGKILL")),
        ("signal: 15\nexit_code: 143", Ending("failed", 143, "SIGTERM")),
        ("signal: loud\nexit_code: 0", Ending("completed", 0)),
        ("run:\n  status: running\nargs: [a, b]\n[c]: d\nexit_code: 1", Ending("failed", 1)),
        ("status: running\n---\nstatus: completed", None),
        ("status: running\nnote: 'cut in the mid", None),
    ],
)
def test_a_marker_says_how_a_run_ended_or_that_it_did_not(
    content: str, expected: Ending | None
) -> None:
    assert read_marker(content.encode()) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (("0001-01-01T00:00:00Z", -1, "running"), None),
        (("2025-11-05T12:00:00Z", 0, "completed"), Ending("completed", 0, None, NOON)),
        (("2025-11-05T13:00:00.000000999+01:00", 2, "failed"), Ending("failed", 2, None, NOON)),
        (("2025-11-05T12:00:00Z", -1, "failed"), Ending("failed", None, None, NOON)),
    ],
)
def test_the_record_of_a_conductor_is_understood(
    fields: tuple[str, int, str], expected: Ending | None
) -> None:
    named = dict(zip(("end_time", "exit_code", "status"), fields, strict=True))
    record = RECORD.format(**named)
    assert read_marker(record.encode()) == expected
    for indent in (None, 2, "\t"):
        assert (
            read_marker(json.dumps({"run": {"id": [1]}, **named}, indent=indent).encode())
            == expected
        )


def test_marks_at_the_beginning_and_other_line_ends_do_no_harm() -> None:
    assert read_marker(b"\xef\xbb\xbf7\r\n") == Ending("failed", 7)
    assert read_marker(b"exit_code: 7\r\nstatus: failed\r\n") == Ending("failed", 7)


def test_of_a_long_marker_the_beginning_is_read() -> None:
    rest = b"prompt: " + b"long " * MARKER_BYTES
    assert read_marker(b"status: running\n" + rest) is None
    assert read_marker(b"exit_code: 2\n" + rest) == Ending("failed", 2)
    assert read_marker(rest + b"\nstatus: running") == COMPLETED


@pytest.mark.parametrize(
    "bomb",
    [
        *(
            "[",
            "{",
            "- ",
            "? ",
            "{a: ",
            "[a: ",
            "[]",
            "{},",
            "a: ",
            "&a ",
            "*a ",
            "!<",
            "%",
            "'",
            '"',
        ),
        *("\n", "? a\n", "a: 1\n", "[a, ", "- [\n", "\0", "\xff"),
        "a: &a {<<: [*a, *a]}\n",
    ],
)
def test_what_is_made_to_be_hard_to_read_is_read_quickly(bomb: str) -> None:
    content = (bomb * MARKER_BYTES)[:MARKER_BYTES].encode("latin-1")
    started = time.process_time()
    assert read_marker(content) == COMPLETED
    assert time.process_time() - started < 1


@given(st.binary(max_size=300) | st.text("{}[]:-?&*!|>'\"%@` \n\ta1", max_size=300).map(str.encode))
def test_no_marker_raises(content: bytes) -> None:
    read_marker(content)
