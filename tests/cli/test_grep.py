"""`runcast grep` against a real server, and how matches are shown."""

import os
import pty
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from runcast.cli.matches import MatchLook, notes, show_match
from tests.cli.commands import runcast, start
from tests.support.server import Server

TIME = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
MATCH: dict[str, Any] = {"run_id": "r", "seq": 7, "time": "T", "before": [], "after": []}
PIPE = MatchLook(cleaned=False, coloured=False)
TERMINAL = MatchLook(cleaned=True, coloured=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("grep") / "data")
    try:
        server.start()
        script = r"printf 'above\nNEEDLE one\nbelow\n\033[31mred\033[0m NEEDLE\rtwo\n'"
        for run_id in ("first", "second"):
            words = ("run", "--detach", "--id", run_id, "--", "sh", "-c", script)
            assert runcast(server.url, *words).returncode == 0
            assert runcast(server.url, "logs", "-f", run_id).returncode == 0
        yield server
    finally:
        server.close()


def test_each_hit_is_a_line_with_its_run_number_and_time_newest_first(server: Server) -> None:
    ended = runcast(server.url, "grep", "NEEDLE")
    lines = ended.stdout.split(b"\n")[:-1]
    runs = [line.split()[0] for line in lines]
    assert sorted(runs) == [b"first", b"first", b"second", b"second"]
    assert len(lines) == 4
    assert (ended.returncode, ended.stderr) == (0, b"")
    pattern = rb"second 6 %b  \x1b\[31mred\x1b\[0m NEEDLE\rtwo" % TIME
    whole = runcast(server.url, "grep", "--run", "second", "NEEDLE").stdout.split(b"\n")
    assert re.fullmatch(pattern, whole[0])
    assert re.fullmatch(rb"second 4 %b  NEEDLE one" % TIME, whole[1])


def test_context_is_indented_and_groups_stand_apart(server: Server) -> None:
    shown = runcast(server.url, "grep", "-C", "1", "--run", "first", "one").stdout
    assert re.fullmatch(rb"  above\nfirst 4 %b  NEEDLE one\n  below\n" % TIME, shown)
    both = runcast(server.url, "grep", "-C", "1", "--run", "first", "NEEDLE").stdout
    assert both.split(b"\n").count(b"--") == 1


def test_nothing_found_ends_with_one_and_trouble_with_two(server: Server) -> None:
    ended = runcast(server.url, "grep", "--since", "1h", "of tomorrow")
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, b"", b"")
    for words in (["--run", "nobody", "x"], ["--since", "soon", "x"], ["a\nb"], [], ["--context"]):
        ended = runcast(server.url, "grep", *words)
        assert ended.returncode == 2, words
        assert ended.stdout == b""
    assert runcast("http://127.0.0.1:9", "grep", "x").returncode == 2


def test_a_limit_is_kept_and_said(server: Server) -> None:
    ended = runcast(server.url, "grep", "-n", "3", "NEEDLE")
    assert len(ended.stdout.split(b"\n")) == 3 + 1
    assert ended.stderr == b"runcast: there may be more; --limit shows more\n"


def test_more_than_an_answer_holds_is_found_in_several(server: Server) -> None:
    runcast(server.url, "run", "--detach", "--id", "many", "--", "seq", "-f", "%g-MANY", "1200")
    assert runcast(server.url, "logs", "-f", "many").returncode == 0
    ended = runcast(server.url, "grep", "-n", "5000", "-MANY")
    assert ended.returncode == 2  # an option that does not exist
    ended = runcast(server.url, "grep", "-n", "5000", "--", "-MANY")
    numbers = [int(line.split()[-1].split(b"-")[0]) for line in ended.stdout.splitlines()]
    assert numbers == list(range(1200, 0, -1))
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_json_is_one_array_of_matches(server: Server) -> None:
    words = ("grep", "--json", "--workspace", "default", "--run", "first", "NEEDLE one")
    (match,) = msgspec.json.decode(runcast(server.url, *words).stdout)
    assert (match["run_id"], match["seq"], match["text"]) == ("first", 4, "NEEDLE one")
    ended = runcast(server.url, "grep", "--json", "of tomorrow")
    assert (ended.stdout, ended.returncode) == (b"[]\n", 1)


def test_on_a_terminal_hits_are_marked_and_nothing_acts(server: Server) -> None:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "wb") as terminal:
        child = start(server.url, ["grep", "--run", "first", "NEEDLE"], stdout=terminal)
    shown = b""
    try:
        while piece := os.read(leader, 65_536):
            shown += piece
    except OSError:  # the terminal's other side is closed
        pass
    finally:
        os.close(leader)
        child.communicate(timeout=20)
    first, second, _ = shown.split(b"\r\n")
    assert first.endswith("  red \x1b[1;31mNEEDLE\x1b[0m␍two".encode())
    assert second.endswith(b"  \x1b[1;31mNEEDLE\x1b[0m one")


def test_of_a_long_text_only_the_lines_with_the_hit_are_shown() -> None:
    match = {**MATCH, "text": "first\nan x\nlast\nx again"}
    assert show_match(match, "x", PIPE) == "r 7 T  an x\nr 7 T  x again\n"


def test_neighbours_take_one_line_each() -> None:
    match = {**MATCH, "text": "x", "before": ["a\nb"], "after": ["\x1b[2Jc"]}
    assert show_match(match, "x", PIPE) == "  a b\nr 7 T  x\n  \x1b[2Jc\n"
    assert show_match(match, "x", TERMINAL) == (
        "  \x1b[2ma b\x1b[0m\nr 7 T  \x1b[1;31mx\x1b[0m\n  \x1b[2mc\x1b[0m\n"
    )


@pytest.mark.parametrize(
    ("complete", "count", "said"),
    [
        (True, 0, []),
        (True, 1, ["1 file is not ingested: what is new there was not searched"]),
        (
            False,
            3,
            [
                "there may be more; --limit shows more",
                "3 files are not ingested: what is new there was not searched",
            ],
        ),
    ],
)
def test_what_was_not_searched_is_said(complete: bool, count: int, said: list[str]) -> None:
    assert list(notes({"complete": complete, "not_ingested": count})) == said
