"""Log frames become bytes again, in order, each on its own stream."""

import base64
import io
import os
import pty
from typing import Any

import pytest

from runcast.cli.lines import LineWriter, Sink, clean_bytes, log_bytes


def log(line: str, stream: str = "stdout", **fields: Any) -> dict[str, Any]:
    return {"stream": stream, "line": line} | fields


@pytest.mark.parametrize(
    ("data", "written"),
    [
        (log("text"), b"text\n"),
        (log(""), b"\n"),
        (log("50%", partial=True), b"50%"),
        (log("ü\r"), "ü\r\n".encode()),
        (log("nul \0"), b"nul \0\n"),
        (log("\ufffd", raw=base64.b64encode(b"\xff\xfe").decode()), b"\xff\xfe\n"),
        (log("\ufffd", raw=base64.b64encode(b"\xff").decode(), partial=True), b"\xff"),
    ],
)
def test_a_frame_gives_back_the_bytes_that_were_printed(
    data: dict[str, Any], written: bytes
) -> None:
    assert log_bytes(data) == written


def test_bytes_for_a_terminal_are_clean_text() -> None:
    assert clean_bytes(log("\x1b[2Jx", raw="/w==")) == b"x\n"
    assert clean_bytes(log("\x1b[31mx", partial=True)) == b"\x1b[31mx"


class Recorder(io.BytesIO):
    """A stream that also keeps the order of writes over several streams."""

    def __init__(self, order: list[bytes]) -> None:
        super().__init__()
        self.order = order

    def write(self, data: Any) -> int:
        self.order.append(bytes(data))
        return super().write(data)


def test_lines_are_written_in_order_and_in_few_pieces() -> None:
    order: list[bytes] = []
    sinks = {name: Sink(Recorder(order), exact=True) for name in ("stdout", "stderr")}
    writer = LineWriter(sinks)
    for line in ("1", "2"):
        writer.add(log(line))
    writer.add(log("3", "stderr"))
    writer.add(log("4"))
    assert order == [b"1\n2\n", b"3\n"]
    writer.flush()
    writer.flush()
    assert order == [b"1\n2\n", b"3\n", b"4\n"]


def test_a_stream_without_a_sink_is_left_out() -> None:
    out = io.BytesIO()
    writer = LineWriter({"stderr": Sink(out, exact=True)})
    writer.add(log("no"))
    writer.add(log("yes", "stderr"))
    writer.flush()
    assert out.getvalue() == b"yes\n"


@pytest.mark.parametrize("exact", [True, False])
def test_only_a_terminal_gets_clean_text_and_only_unless_exact(exact: bool) -> None:
    assert Sink(io.BytesIO(), exact=exact).bytes_of is log_bytes
    leader, follower = pty.openpty()
    try:
        with os.fdopen(follower, "wb") as terminal:
            assert Sink(terminal, exact=exact).bytes_of is (log_bytes if exact else clean_bytes)
    finally:
        os.close(leader)
