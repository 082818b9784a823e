"""The parts of the benchmarks that decide what a number means."""

import json
import socket
import time
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from bench import chart, child, host, load, measure, report, targets
from bench.websocket import text_frame
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(0, 20), st.sets(st.integers(0, 400)))
def test_events_are_counted_however_the_stream_is_cut(events: int, cuts: set[int]) -> None:
    text = "".join(f'data: {{"line":"{child.MARK}{n:08d} x"}}\n\n' for n in range(events)).encode()
    with socket.socket() as unused:
        client = load.Client(unused, b"")
        for start, end in pairwise(sorted({0, len(text), *(c for c in cuts if c < len(text))})):
            client.take(bytearray(text[start:end]), end - start)
    assert client.events == events


def test_a_sampler_reads_each_stamp_once() -> None:
    text = f"{child.MARK}1000 x {child.MARK}2000 x".encode()
    with socket.socket() as unused:
        client = load.Sampler(unused, b"")
        for byte in text:
            client.take(bytearray([byte]), 1)
    assert len(client.delays_ms) == client.events == 2


def test_the_marks_of_printer_and_counter_agree() -> None:
    assert child.MARK.encode() == load.MARK


def test_a_masked_frame_has_the_length_of_its_text() -> None:
    short, long = (text_frame("x" * size).encode("latin-1") for size in (10, 1_000))
    assert short[:2] == bytes([0x81, 0x80 | 12])
    assert json.loads(short[6:]) == "x" * 10
    assert long[:4] == bytes([0x81, 0x80 | 126]) + (1_002).to_bytes(2, "big")


@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_the_exponent_is_the_power_with_which_cost_grows(power: float) -> None:
    assert measure.exponent([(size, 3 * size**power) for size in (1, 4, 16)]) == pytest.approx(
        power
    )


def test_a_row_says_of_each_target_whether_it_is_met() -> None:
    name = "fanout.2000.200"
    wanted = targets.TARGETS[f"{name}/nchan"].value
    beside = (report.Beside("nchan", 1 / wanted), report.Beside("better-sse", 1.0))
    row = report.Row(name, "fan-out", 1.0, "events", beside=beside)
    assert [line.split(":")[0] for line in report.missed([row])] == [f"{name}/better-sse"]
    shown = report.table([row]).splitlines()[-1]
    assert "MISSED" in shown
    assert " met" in shown


def test_the_chart_is_xml_with_a_bar_for_each_value() -> None:
    groups = [chart.Group("a <b", {"runcast": 1_000.0, "peer": 10.0})]
    drawn = ElementTree.fromstring(chart.bars("title", groups))
    assert len(drawn.findall("{http://www.w3.org/2000/svg}rect")) == 1 + 2


class Host:
    """Takes so many seconds of the processors' time in each round."""

    def __init__(self, *takes: float) -> None:
        self.takes = iter(takes)
        self.taken = 0.0
        self.rounds = 0

    def stolen_s(self) -> float:
        return self.taken

    def round(self) -> int:
        self.taken += next(self.takes, 0.0)
        self.rounds += 1
        time.sleep(0.01)
        return self.rounds


@pytest.mark.parametrize(
    ("takes", "counts"),
    [
        ((0.0, 9.0), 1),
        ((9.0, 0.0, 9.0), 2),
        ((900.0, 800.0, 5.0, 600.0, 700.0), 3),  # none is quiet: the quietest
    ],
)
def test_a_round_is_measured_again_while_the_host_takes_too_much(
    takes: tuple[float, ...], counts: int
) -> None:
    at = Host(*takes)
    rounds = host.Rounds(at.stolen_s, pause_s=0)

    assert rounds.measure(at.round) == counts

    (row,) = rounds.rows()
    assert (row.value > 100 * host.QUIET) == (len(takes) == host.AGAIN + 1)
    assert f"{at.rounds - 1} times" in row.note


def test_the_patience_with_a_host_ends() -> None:
    at = Host(*[9.0] * 100)
    rounds = host.Rounds(at.stolen_s, pause_s=0)
    rounds._patience_s = 0

    assert rounds.measure(at.round) == 1


def test_the_system_tells_what_the_host_took() -> None:
    assert host._stolen_s() >= 0
