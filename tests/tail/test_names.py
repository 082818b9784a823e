"""How sources are called, and that every name is one that a run may have."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.config_watch import WatchEntry, WatchFiles, WatchSettings, resolve
from runcast.core.ids import check_id
from runcast.tail.names import marker_path, run_id_of, task_id_of, with_suffix
from runcast.tail.scan import Source

PATH = "shop/task-7/runs/2024-11-05.log"
HASH = hashlib.sha256(PATH.encode()).hexdigest()[:12]
LONG = "/".join(["x" * 60] * 3)


def entry(**given: object) -> WatchEntry:
    return resolve("logs", WatchSettings(root="/logs", **given))


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("{path}", PATH, "shop.task-7.runs.2024-11-05.log"),
        ("{1}-{2}", PATH, "shop-task-7"),
        ("{4}", PATH, "2024-11-05.log"),
        ("{5}{1}", PATH, "shop"),
        ("{name}", PATH, "2024-11-05.log"),
        ("{stem}", PATH, "2024-11-05"),
        ("{stem}", "a/b.tar.gz", "b.tar"),
        ("{stem}", "a/.log", "log"),
        ("{hash}", PATH, HASH),
        ("{entry}_{stem}", PATH, "logs_2024-11-05"),
        ("run of {name}", "a b.log", "run-of-a-b.log"),
        ("{name}", "caf\xe9 \N{SNOWMAN}.log", "caf---.log"),
        ("{name}", "\N{SNOWMAN}.log", "log"),
        ("{name}", "a..b...log", "a.-b.--log"),
        ("{name}", "--{name}", "name-"),
        ("{name}", "_", hashlib.sha256(b"_").hexdigest()[:12]),
        ("{3}", "a/b", hashlib.sha256(b"a/b").hexdigest()[:12]),
        (
            "{path}",
            LONG,
            ".".join(["x" * 60] * 3)[:115] + "-" + hashlib.sha256(LONG.encode()).hexdigest()[:12],
        ),
        (
            "{stem}",
            "0198AB12-0000-7000-8000-00000000ABCD.log",
            "0198ab12-0000-7000-8000-00000000abcd",
        ),
    ],
)
def test_an_id_is_made_of_the_path(template: str, path: str, expected: str) -> None:
    assert run_id_of(entry(run_id=template), path) == expected


def test_a_task_has_the_id_of_its_run_unless_it_has_a_template() -> None:
    assert task_id_of(entry(run_id="{stem}"), PATH) == "2024-11-05"
    assert task_id_of(entry(run_id="{stem}", task_id="{2}"), PATH) == "task-7"


PARTS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)
TEMPLATES = st.lists(
    st.sampled_from(["{1}", "{2}", "{path}", "{stem}", "{name}", ".", "-", "x"]), min_size=1
)


@given(template=TEMPLATES.map("".join), path=st.lists(PARTS, min_size=1, max_size=5).map("/".join))
def test_every_id_is_one_that_a_run_may_have(template: str, path: str) -> None:
    run_id = run_id_of(entry(run_id=template), path)
    assert check_id(run_id) == run_id
    assert check_id(with_suffix(run_id, ".2")) == with_suffix(run_id, ".2")


def test_an_id_makes_room_for_a_suffix() -> None:
    assert with_suffix("run", ".2") == "run.2"
    assert with_suffix("x" * 128, ".12") == "x" * 125 + ".12"
    assert with_suffix("x" * 125 + ".yz", ".2") == "x" * 125 + ".2"


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("done", "/logs/a/done"),
        ("{stem}.exit", "/logs/a/b.tar.exit"),
        ("{name}.x", "/logs/a/b.tar.gz.x"),
    ],
)
def test_the_marker_of_a_file_lies_beside_it(marker: str, expected: str) -> None:
    source = Source("a/b.tar.gz", {"stdout": "/logs/a/b.tar.gz"})
    assert marker_path(entry(end="marker", marker=marker), source) == expected


@pytest.mark.parametrize(
    "files", [WatchFiles(stdout="out", stderr="err"), WatchFiles(stderr="err")]
)
def test_the_marker_of_a_pair_lies_in_its_folder(files: WatchFiles) -> None:
    paths = {stream: f"/logs/a/b.c/{name}" for stream, name in files.by_stream().items()}
    pair = entry(files=files, end="marker", marker="{stem}.yaml")
    assert marker_path(pair, Source("a/b.c", paths)) == "/logs/a/b.c/b.yaml"


def test_without_an_end_by_marker_there_is_no_marker() -> None:
    source = Source("a.log", {"stdout": "/logs/a.log"})
    assert marker_path(entry(), source) is None
    assert marker_path(entry(recipe="conductor", end="idle"), source) is None
