"""What a scan finds, and that it finds it again only where something may have changed."""

import glob as reference
import os
import socket
import string
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.tail import scan
from runcast.tail.scan import Found, Scanner, Source

PAIR = {"stdout": "out.txt", "stderr": "err.txt"}


def make(root: Path, *paths: str) -> None:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def age(root: Path, seconds: float = 100) -> None:
    """Make it look as if nothing had changed for a while."""
    for folder, _, _ in os.walk(root):
        before = os.stat(folder).st_mtime_ns - int(seconds * 1e9)
        os.utime(folder, ns=(before, before))


def found(root: Path, glob: str, files: dict[str, str] | None = None) -> list[str]:
    return sorted(Scanner(str(root), glob, files).scan().sources)


TREE = (
    "a.log",
    "b.txt",
    ".hidden.log",
    "x/a.log",
    "x/y/a.log",
    "x/y/b.log",
    ".git/a.log",
    "x/.z/a.log",
)


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("*.log", ["a.log"]),
        (".*.log", [".hidden.log"]),
        ("?.*", ["a.log", "b.txt"]),
        ("[!a].txt", ["b.txt"]),
        ("x/*.log", ["x/a.log"]),
        ("*/*/*.log", ["x/y/a.log", "x/y/b.log"]),
        ("*/.z/*", ["x/.z/a.log"]),
        ("**/a.log", ["a.log", "x/a.log", "x/y/a.log"]),
        ("x/**/a.log", ["x/a.log", "x/y/a.log"]),
        ("**/y/**", ["x/y/a.log", "x/y/b.log"]),
        ("**", ["a.log", "b.txt", "x/a.log", "x/y/a.log", "x/y/b.log"]),
        ("**/**/b.log", ["x/y/b.log"]),
        ("a.log/*", []),
        ("x", []),
    ],
)
def test_the_glob_says_which_files_are_sources(
    tmp_path: Path, glob: str, expected: list[str]
) -> None:
    make(tmp_path, *TREE)
    assert found(tmp_path, glob) == expected


NAMES = st.text(string.ascii_lowercase[:2] + ".", min_size=1, max_size=2).filter(
    lambda n: n.strip(".")
)
PARTS = st.sampled_from(["**", "*", "a*", "?", "[ab]", ".*", "b.", "*.*"])


@given(
    tree=st.sets(st.lists(NAMES, min_size=1, max_size=4).map("/".join), max_size=12),
    glob=st.lists(PARTS, min_size=1, max_size=4).map("/".join),
)
def test_the_glob_means_what_it_means_to_python(
    tmp_path_factory: pytest.TempPathFactory, tree: set[str], glob: str
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for path in tree:
        if not any(other.startswith(f"{path}/") or path.startswith(f"{other}/") for other in tree):
            make(root, path)
    paths = set(reference.glob(glob, root_dir=root, recursive=True))
    # To Python a file has the empty name below it.
    wanted = [path for path in paths if not path.endswith("/") and (root / path).is_file()]
    assert found(root, glob) == sorted(wanted)


def test_a_source_knows_its_path_below_the_root_and_its_file(tmp_path: Path) -> None:
    make(tmp_path, "x/a.log")
    sources = Scanner(str(tmp_path), "*/*.log", None).scan().sources
    assert sources == {"x/a.log": Source("x/a.log", {"stdout": f"{tmp_path}/x/a.log"})}


def test_a_pair_exists_as_soon_as_one_of_its_files_does(tmp_path: Path) -> None:
    make(tmp_path, "p/t/runs/1/other", "p/t/runs/2/err.txt", "p/out.txt", "p/t/runs/2/sub/out.txt")
    paths = {stream: f"{tmp_path}/p/t/runs/2/{name}" for stream, name in PAIR.items()}
    scanner = Scanner(str(tmp_path), "*/*/runs/*", PAIR)
    assert scanner.scan().sources == {"p/t/runs/2": Source("p/t/runs/2", paths)}
    make(tmp_path, "p/t/runs/1/out.txt")
    assert sorted(scanner.scan().sources) == ["p/t/runs/1", "p/t/runs/2"]


def test_a_pair_may_lie_in_another_but_not_in_the_root(tmp_path: Path) -> None:
    make(tmp_path, "out.txt", "a/out.txt", "a/b/c/out.txt", ".d/out.txt")
    assert found(tmp_path, "**", PAIR) == ["a", "a/b/c"]


def test_folders_are_named_where_something_may_appear(tmp_path: Path) -> None:
    make(tmp_path, "a/runs/1/x", "a/other/2/x", "b/c")
    expected = [tmp_path, *(tmp_path / path for path in ("a", "b", "a/runs", "a/runs/1"))]
    assert sorted(Scanner(str(tmp_path), "*/runs/*", PAIR).scan().folders) == sorted(
        map(str, expected)
    )


def test_only_regular_files_are_sources(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.log")
    (tmp_path / "b.log").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "c.log"))
        assert found(tmp_path, "*.log") == []


def test_links_to_files_are_sources_once_they_lead_somewhere(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/a.log").symlink_to("../target")
    (tmp_path / "logs/loop.log").symlink_to("loop.log")
    age(tmp_path)
    scanner = Scanner(str(tmp_path / "logs"), "*.log", None)
    assert scanner.scan() == Found({}, [str(tmp_path / "logs")], None)
    make(tmp_path, "target")
    assert list(scanner.scan().sources) == ["a.log"]


def test_links_to_folders_are_entered_where_they_are_named_but_not_by_two_stars(
    tmp_path: Path,
) -> None:
    make(tmp_path, "outside/a.log", "root/x/b.log")
    (tmp_path / "root/link").symlink_to(tmp_path / "outside")
    (tmp_path / "root/x/up").symlink_to("..")
    assert found(tmp_path / "root", "*/*.log") == ["link/a.log", "x/b.log"]
    assert found(tmp_path / "root", "**/*.log") == ["x/b.log"]
    assert found(tmp_path / "root", "x/up/*/b.log") == ["x/up/x/b.log"]


def test_what_appears_and_what_goes_is_seen_by_the_next_scan(tmp_path: Path) -> None:
    make(tmp_path, "a/1.log")
    scanner = Scanner(str(tmp_path), "**/*.log", None)
    assert list(scanner.scan().sources) == ["a/1.log"]
    make(tmp_path, "a/2.log", "b/c/3.log")
    assert sorted(scanner.scan().sources) == ["a/1.log", "a/2.log", "b/c/3.log"]
    (tmp_path / "a/1.log").unlink()
    (tmp_path / "b").rename(tmp_path / "d")
    assert sorted(scanner.scan().sources) == ["a/2.log", "d/c/3.log"]
    (tmp_path / "a/2.log").unlink()
    (tmp_path / "a").rmdir()
    make(tmp_path, "a")
    assert list(scanner.scan().sources) == ["d/c/3.log"]


def test_a_folder_that_was_replaced_is_listed_again(tmp_path: Path) -> None:
    make(tmp_path, "a/old.log", "b/new.log")
    age(tmp_path)
    times = os.stat(tmp_path / "a")
    scanner = Scanner(str(tmp_path), "a/*.log", None)
    assert list(scanner.scan().sources) == ["a/old.log"]
    (tmp_path / "a").rename(tmp_path / "c")
    (tmp_path / "b").rename(tmp_path / "a")
    os.utime(tmp_path / "a", ns=(times.st_mtime_ns, times.st_mtime_ns))
    assert list(scanner.scan().sources) == ["a/new.log"]


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The folders that were listed, as they are."""
    listed: list[str] = []
    scandir = os.scandir

    def counting(path: str) -> object:
        listed.append(path)
        return scandir(path)

    monkeypatch.setattr(scan.os, "scandir", counting)
    return listed


def test_a_folder_that_did_not_change_is_not_listed_again(
    tmp_path: Path, listed: list[str]
) -> None:
    make(tmp_path, "a/1.log", "b/2.log")
    age(tmp_path)
    scanner = Scanner(str(tmp_path), "*/*.log", None)
    first = scanner.scan()
    listed.clear()
    assert scanner.scan() is first
    assert not listed
    make(tmp_path, "a/3.log")
    assert sorted(scanner.scan().sources) == ["a/1.log", "a/3.log", "b/2.log"]
    assert listed == [str(tmp_path / "a")]


def test_a_folder_that_changed_just_now_is_not_believed(tmp_path: Path) -> None:
    scanner = Scanner(str(tmp_path), "*.log", None)
    before = os.stat(tmp_path)
    scanner.scan()
    make(tmp_path, "a.log")
    # As if the clock of the file system had not moved on since.
    os.utime(tmp_path, ns=(before.st_mtime_ns, before.st_mtime_ns))
    assert list(scanner.scan().sources) == ["a.log"]


def test_now_and_then_a_folder_is_listed_whatever_its_time_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(tmp_path)
    before = os.stat(tmp_path)
    scanner = Scanner(str(tmp_path), "*.log", None)
    scanner.scan()
    make(tmp_path, "a.log")
    os.utime(tmp_path, ns=(before.st_mtime_ns, before.st_mtime_ns))
    assert not scanner.scan().sources
    now = scan.time.time()
    monkeypatch.setattr(scan.time, "time", lambda: now + scan.RELIST_S)
    assert list(scanner.scan().sources) == ["a.log"]


def test_a_root_that_is_missing_is_a_problem_until_it_is_there(tmp_path: Path) -> None:
    root = tmp_path / "later"
    scanner = Scanner(str(root), "*.log", None)
    assert scanner.scan() == Found({}, [], f"{root}: No such file or directory")
    make(root, "a.log")
    assert scanner.scan() == Found(
        {"a.log": Source("a.log", {"stdout": f"{root}/a.log"})}, [str(root)], None
    )


def test_a_root_that_is_a_file_is_a_problem(tmp_path: Path) -> None:
    make(tmp_path, "file")
    assert (
        Scanner(f"{tmp_path}/file", "*", None).scan().problem == f"{tmp_path}/file: Not a directory"
    )


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be somebody who may not read everything, if we are root."""
    user = os.geteuid()
    os.seteuid(user or 65_534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_what_cannot_be_read_is_a_problem_and_not_forgotten() -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        make(root, "a/1.log", "b/2.log")
        scanner = Scanner(folder, "*/*.log", None)
        known = scanner.scan()
        (root / "a").chmod(0)
        with as_nobody():
            denied = scanner.scan()
            fresh = Scanner(folder, "*/*.log", None).scan()
        (root / "a").chmod(0o755)
        assert denied == known._replace(problem=f"{root}/a: Permission denied")
        assert fresh.sources.keys() == {"b/2.log"}
        assert scanner.scan() == known


def test_the_work_of_one_scan_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, *(f"{folder}/{file}.log" for folder in range(5) for file in range(4)))
    monkeypatch.setattr(scan, "FOLDERS", 4)
    few = Scanner(str(tmp_path), "**/*.log", None).scan()
    assert len(few.folders) == 4
    assert len(few.sources) == 12
    assert few.problem == (
        f"{tmp_path}: more than 4 folders or 20,000 matches below it; not all of them are looked at"
    )
    monkeypatch.setattr(scan, "SOURCES", 2)
    flat = Scanner(str(tmp_path / "0"), "*.log", None).scan()
    assert len(flat.sources) == 3
    assert flat.problem is not None


def test_names_of_any_bytes_have_a_path_that_is_text(tmp_path: Path) -> None:
    name = b"caf\xe9\n.log"
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).touch()
    [source] = Scanner(str(tmp_path), "*.log", None).scan().sources.values()
    assert source.path == "caf\\xe9\n.log"
    assert os.fsencode(source.files["stdout"]).endswith(name)
    assert os.path.exists(source.files["stdout"])


def test_folders_behind_links_out_of_the_root_are_entered_only_if_links_are_followed(
    tmp_path: Path,
) -> None:
    root = tmp_path / "root"
    make(tmp_path, "outside/a.log", "root/inside/a.log")
    (root / "in").symlink_to("inside")
    (root / "out").symlink_to(tmp_path / "outside")
    assert found(root, "*/*.log") == ["in/a.log", "inside/a.log", "out/a.log"]
    scanner = Scanner(str(root), "*/*.log", None, follow=False)
    assert sorted(scanner.scan().sources) == ["in/a.log", "inside/a.log"]
    assert scanner.scan().problem is None
    (root / "in").unlink()
    (root / "in").symlink_to(tmp_path / "outside")
    assert sorted(scanner.scan().sources) == ["inside/a.log"]


def test_only_folders_that_are_said_to_have_changed_are_looked_at(tmp_path: Path) -> None:
    make(tmp_path, "a/1.log", "b/1.log")
    age(tmp_path)
    scanner = Scanner(str(tmp_path), "**/*.log", None)
    assert sorted(scanner.scan().sources) == ["a/1.log", "b/1.log"]
    make(tmp_path, "a/2.log", "b/2.log", "b/c/3.log")
    assert sorted(scanner.scan({str(tmp_path / "b")}).sources) == [
        "a/1.log",
        "b/1.log",
        "b/2.log",
        "b/c/3.log",
    ]
    assert len(scanner.scan().sources) == 5


def test_what_was_just_listed_is_looked_at_whatever_is_said_to_have_changed(
    tmp_path: Path,
) -> None:
    make(tmp_path, "a/1.log")
    scanner = Scanner(str(tmp_path), "**/*.log", None)
    scanner.scan()
    make(tmp_path, "a/2.log")
    assert sorted(scanner.scan(set()).sources) == ["a/1.log", "a/2.log"]
