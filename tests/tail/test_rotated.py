"""Which names rotation gives to older generations of a log file, and the order they are in."""

import os
from pathlib import Path

import pytest

from runcast.tail.rotated import between, find, originals, siblings

SECOND_NS = 1_000_000_000


def make(folder: Path, *names: str, at: int = 1_000) -> None:
    """Make files, each written to a second later than the one before."""
    for second, name in enumerate(names, start=at):
        (folder / name).touch()
        os.utime(folder / name, ns=(second * SECOND_NS, second * SECOND_NS))


def names(paths: list[str]) -> list[str]:
    return [os.path.basename(path) for path in paths]


@pytest.mark.parametrize(
    ("name", "rotated"),
    [
        ("app.log", "app.log.1"),
        ("app.log", "app.log.12"),
        ("app.log", "app.log-20261121"),
        ("app.log", "app.log-20261121-1795251450"),
        ("app.log", "app.log.2026-11-21"),
        ("app.log", "app.log.2026-11-21_08"),
        ("app.log", "app.log.2026-11-21T08:57:30Z"),
        ("app.log", "app.log.20261121-085730"),
        ("app.log", "app-20261121.log"),
        ("app.log", "app-2026-11-21T08-57-30.123.log"),
        ("app.log", "app.1.log"),
        ("app.log", "app-1.log"),
        ("app.log", "app_1.log"),
        ("app.log", "app20261121.log"),
        ("app.log", "app.log.old"),
        ("app.log", "app.old.log"),
        ("app.log", "app.log.bak"),
        ("app.log", "app.log.prev"),
        ("app.log", "app.log~1"),
        ("messages", "messages.1"),
        ("messages", "messages-20261121"),
        ("0.log", "0.log.20261121-085730"),
        ("a.b.log", "a.b.log.1"),
        ("a.b.log", "a.b-1.log"),
        ("[x]*.log", "[x]*.log.1"),
    ],
)
def test_a_number_a_date_or_a_word_for_old_makes_a_rotated_name(
    tmp_path: Path, name: str, rotated: str
) -> None:
    make(tmp_path, name, rotated)
    (sibling,) = siblings(str(tmp_path / name))
    assert os.path.basename(sibling.path) == rotated
    assert (str(tmp_path / name), sibling.doubtful) in originals(sibling.path)
    assert (name, sibling.doubtful) in originals(rotated)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("app.log", "app.log.err"),
        ("app.log", "app.log.idx"),
        ("app.log", "app.log.1.gz"),
        ("app.log", "app.log-20261121.zst"),
        ("app.log", "app.log.1.swp"),
        ("app.log", "other-app.log.1"),
        ("app.log", "app.log.tmp"),
        ("app.log", "app.logx"),
        ("app.log", "app.log1"),
        ("app.log", "apps.log"),
        ("app.log", "app-error.log"),
        ("app.log", "app-1.log.err"),
        ("app.log", "app.log.older"),
        ("app.log", "app.log."),
        ("app.log", "app.txt.1"),
        ("app.log", "App.log.1"),
        ("worker.log", "worker1.log"),
        ("1.log", "10.log"),
        ("1.log", "11.log"),
        ("0.log", "0.log.20261121-085730.gz"),
        ("a.log", "axlog.1"),
    ],
)
def test_other_names_are_other_files(tmp_path: Path, name: str, other: str) -> None:
    make(tmp_path, name, other)
    assert list(siblings(str(tmp_path / name))) == []
    assert name not in [path for path, _ in originals(other)]


def test_only_files_are_rotated_ones(tmp_path: Path) -> None:
    make(tmp_path, "app.log", "elsewhere")
    (tmp_path / "app.log.1").mkdir()
    (tmp_path / "app.log.2").symlink_to("elsewhere")
    os.mkfifo(tmp_path / "app.log.3")
    assert list(siblings(str(tmp_path / "app.log"))) == []


def test_numbers_tell_the_order_whatever_the_times_say(tmp_path: Path) -> None:
    make(tmp_path, "app.log.1", "app.log.10", "app.log.2", "app.log.9")
    found = between(str(tmp_path / "app.log"), set(), 0)
    assert names(found) == ["app.log.10", "app.log.9", "app.log.2", "app.log.1"]


def test_dates_are_ordered_by_the_time_of_the_last_line(tmp_path: Path) -> None:
    make(tmp_path, "app.log-20261119", "app.log-20261121", "app.log-20261120")
    found = between(str(tmp_path / "app.log"), set(), 0)
    assert names(found) == ["app.log-20261119", "app.log-20261121", "app.log-20261120"]


def test_dates_at_the_same_moment_are_ordered_by_name(tmp_path: Path) -> None:
    written = ["app-20261121.log", "app-20261119.log", "app-20261120.log"]
    for name in written:
        make(tmp_path, name, at=5)
    assert names(between(str(tmp_path / "app.log"), set(), 0)) == sorted(written)


def test_names_of_both_kinds_are_ordered_by_time(tmp_path: Path) -> None:
    make(tmp_path, "app.log.1", "app.log.old", "app.log.2")
    found = between(str(tmp_path / "app.log"), set(), 0)
    assert names(found) == ["app.log.1", "app.log.old", "app.log.2"]


def test_what_is_known_or_older_was_not_missed(tmp_path: Path) -> None:
    make(tmp_path, "app.log.4", "app.log.3", "app.log.2", "app.log.1")
    facts = (tmp_path / "app.log.2").stat()
    found = between(str(tmp_path / "app.log"), {(facts.st_dev, facts.st_ino)}, 1_001 * SECOND_NS)
    assert names(found) == ["app.log.3", "app.log.1"]


def test_a_file_is_found_by_what_it_is_not_by_its_name(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    make(tmp_path, "app.log", "app.log.1")
    facts = log.stat()
    assert find(str(log), (facts.st_dev, facts.st_ino)) is None
    log.rename(tmp_path / "app.log.7")
    assert find(str(log), (facts.st_dev, facts.st_ino)) == str(tmp_path / "app.log.7")


def test_a_link_has_the_generations_of_what_it_leads_to_as_well(tmp_path: Path) -> None:
    target = tmp_path / "containers" / "id-json.log"
    target.parent.mkdir()
    make(target.parent, "id-json.log", "id-json.log.1")
    link = tmp_path / "0.log"
    link.symlink_to(target)
    make(tmp_path, "0.log.1")
    assert sorted(names(between(str(link), set(), 0))) == ["0.log.1", "id-json.log.1"]
    assert find(str(link), _identity(target.with_name("id-json.log.1"))) is not None


def test_a_link_beside_its_generations_names_each_once(tmp_path: Path) -> None:
    make(tmp_path, "app-20261120.log", "app-20261121.log")
    (tmp_path / "app.log").symlink_to("app-20261121.log")
    found = between(str(tmp_path / "app.log"), set(), 0)
    assert names(found) == ["app-20261120.log", "app-20261121.log"]


def test_a_folder_that_is_missing_has_no_files(tmp_path: Path) -> None:
    assert between(str(tmp_path / "none" / "app.log"), set(), 0) == []


def test_a_name_without_a_folder_is_in_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "app.log.1")
    monkeypatch.chdir(tmp_path)
    assert names(between("app.log", set(), 0)) == ["app.log.1"]


def _identity(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_dev, facts.st_ino


def test_a_small_number_before_the_suffix_may_be_another_log(tmp_path: Path) -> None:
    make(tmp_path, "app-1.log", "app.2.log", "app.old.log", "app-20261121.log", "app.log.1")
    found = between(str(tmp_path / "app.log"), set(), 0)
    assert sorted(names(found)) == ["app-20261121.log", "app.log.1"]
    other = tmp_path / "app-1.log"
    identity = (other.stat().st_dev, other.stat().st_ino)
    assert find(str(tmp_path / "app.log"), identity) == str(other)
