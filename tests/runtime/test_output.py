"""Raw output: the bytes that a command printed, whatever the spool went through."""

import pytest

from runcast.runtime.output import RawOutput

OUT = b"2026-11-21T08:57:30.123456789Z stdout F "
ERR = b"2026-11-21T08:57:30.123456789Z stderr P "


async def read(output, start=0, stop=1 << 40):
    return b"".join([piece async for piece in output.chunks(start, stop)])


@pytest.mark.parametrize(
    ("stream", "expected"),
    [("stdout", b"one\ntwo\n"), ("stderr", b"half"), (None, b"one\nhalftwo\n")],
)
async def test_each_stream_is_given_as_it_was_printed(tmp_path, stream, expected):
    (tmp_path / "output.log").write_bytes(OUT + b"one\n" + ERR + b"half\n" + OUT + b"two\n")
    output = RawOutput(tmp_path, stream)

    assert await read(output) == expected
    assert await output.size() == len(expected)


@pytest.mark.parametrize(("start", "stop"), [(0, 3), (2, 5), (100, 5_000), (7, 7), (0, 9_999)])
async def test_a_part_is_cut_out_exactly(tmp_path, start, stop):
    text = b"".join(b"%d\n" % number for number in range(2_000))
    (tmp_path / "output.log").write_bytes(
        b"".join(OUT + line + b"\n" for line in text.splitlines())
    )

    assert await read(RawOutput(tmp_path, None), start, stop) == text[start:stop]


async def test_what_is_no_record_is_left_out_and_the_rest_is_given(tmp_path):
    junk = bytes(2_000_000) + b"\n"
    (tmp_path / "output.log").write_bytes(OUT + b"a\n" + junk + OUT + b"b\n")

    assert await read(RawOutput(tmp_path, None)) == b"a\nb\n"


async def test_a_run_that_has_not_started_printed_nothing(tmp_path):
    assert await read(RawOutput(tmp_path, None)) == b""
