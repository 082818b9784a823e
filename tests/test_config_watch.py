"""Settings of watched folders: what they come to, where they come from, what is wrong with them."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runcast.config_load import load
from runcast.config_watch import RECIPES, WatchEntry, resolve
from runcast.core.errors import ConfigError


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def entry(text: str, **environ: str) -> WatchEntry:
    """Return what a settings file makes of the entry `logs`."""
    Path("runcast.yaml").write_text(f"watch: {{logs: {{{text}}}}}" if text else "")
    variables = {f"RUNCAST__WATCH__LOGS__{name}": value for name, value in environ.items()}
    return resolve("logs", load(None, variables, {}).watch["logs"])


def test_an_entry_needs_no_more_than_a_root() -> None:
    assert entry("root: /var/log/app") == WatchEntry(
        name="logs",
        root="/var/log/app",
        glob="*.log",
        files={},
        framing="plain",
        dialect="lines",
        workspace="default",
        run_id="{path}",
        task_id="{path}",
        from_end=False,
        always=False,
        end="never",
        idle_s=3600,
        marker=None,
        follow_links=False,
        max_age_s=None,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("glob: '**/*.txt'", {"glob": "**/*.txt"}),
        ("files: {stdout: out}", {"files": {"stdout": "out"}, "glob": "*"}),
        ("files: {stderr: err, stdout: out}", {"files": {"stdout": "out", "stderr": "err"}}),
        ("files: {stdout: out}, glob: 'a/*'", {"files": {"stdout": "out"}, "glob": "a/*"}),
        ("format: cri", {"framing": "cri", "dialect": "lines"}),
        ("format: claude", {"framing": "plain", "dialect": "claude"}),
        ("format: lines", {"framing": "plain", "dialect": "lines"}),
        ("dialect: claude", {"framing": "plain", "dialect": "claude"}),
        ("format: docker-json, dialect: jsonl", {"framing": "docker-json", "dialect": "jsonl"}),
        ("workspace: shop", {"workspace": "shop"}),
        ("run_id: '{stem}'", {"run_id": "{stem}", "task_id": "{stem}"}),
        ("run_id: '{stem}', task_id: '{1}'", {"run_id": "{stem}", "task_id": "{1}"}),
        ("start: end", {"from_end": True}),
        ("ingest: always", {"always": True}),
        ("end: idle, idle_s: 0.5", {"end": "idle", "idle_s": 0.5}),
        ("end: marker, marker: '{stem}.exit'", {"end": "marker", "marker": "{stem}.exit"}),
        ("end: rename", {"end": "rename"}),
        ("follow_links: true", {"follow_links": True}),
        ("max_age: 7d", {"max_age_s": 604_800}),
        ("max_age: 90", {"max_age_s": 90}),
        ("max_age: 0", {"max_age_s": 0}),
    ],
)
def test_what_is_said_holds(text: str, expected: dict[str, Any]) -> None:
    found = msgspec.structs.asdict(entry(f"root: /logs, {text}"))
    assert found | expected == found


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ("logs", "{here}/logs"),
        ("./a/b/", "{here}/a/b"),
        (".", "{here}"),
        ("~/logs", "/home/me/logs"),
    ],
)
def test_a_root_starts_from_the_current_or_the_home_folder(
    root: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert entry(f"root: '{root}'").root == expected.format(here=Path.cwd())


def test_the_recipe_of_kubernetes_reads_what_kubelet_keeps() -> None:
    found = entry("recipe: kubernetes")
    assert (found.root, found.glob, found.framing) == ("/var/log/pods", "*/*/*.log", "cri")
    assert (found.run_id, found.task_id) == ("{path}", "{1}")
    assert found.follow_links


def test_the_recipe_of_conductors_reads_their_folders() -> None:
    found = entry("recipe: conductor, root: /work")
    assert (found.root, found.glob) == ("/work", "*/*/runs/*")
    assert found.files == {"stdout": "agent-stdout.txt", "stderr": "agent-stderr.txt"}
    assert (found.run_id, found.task_id) == ("{4}", "{2}")
    assert (found.end, found.marker) == ("marker", "run-info.yaml")


def test_what_is_said_beats_the_recipe() -> None:
    found = entry(
        "recipe: conductor, root: /work, glob: '*', files: {stdout: out}, run_id: '{1}', "
        "task_id: '{name}', end: idle, format: claude, start: end"
    )
    assert (found.glob, found.files, found.run_id, found.task_id) == (
        "*",
        {"stdout": "out"},
        "{1}",
        "{name}",
    )
    assert (found.end, found.marker, found.dialect, found.from_end) == (
        "idle",
        None,
        "claude",
        True,
    )
    links = entry("recipe: kubernetes, root: /pods, follow_links: false, dialect: jsonl")
    assert (links.root, links.follow_links, links.framing) == ("/pods", False, "cri")
    assert links.dialect == "jsonl"


def test_recipes_stay_as_they_are() -> None:
    before = msgspec.json.encode(RECIPES)
    entry("recipe: conductor, root: /work, files: {stdout: out}, max_age: 1d")
    assert msgspec.json.encode(RECIPES) == before


def test_variables_and_file_complete_each_other() -> None:
    found = entry(
        "root: /logs, glob: '*.txt', files: {stdout: out}",
        GLOB="a/*",
        FILES__STDERR="err",
        FOLLOW_LINKS="true",
        MAX_AGE="7d",
    )
    assert (found.root, found.glob, found.follow_links) == ("/logs", "a/*", True)
    assert found.files == {"stdout": "out", "stderr": "err"}
    assert entry("", ROOT="/elsewhere", RECIPE="conductor").root == "/elsewhere"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("glob: x", "root: is missing: the folder to look in"),
        ("root: ~", "root: is missing"),
        ("root: ''", "root: is missing"),
        ("recipe: conductor", "root: is missing"),
        ("root: ~nobody-of-that-name/x", "root: nobody knows the home folder that ~nobody-of-that"),
        ("root: 7", "root: expected text or null, got whole number"),
        ("rot: /x", "rot: unknown setting; did you mean watch.logs.root?"),
        (
            "root: /x, files: {stdou: a}",
            "files.stdou: unknown setting; did you mean watch.logs.fil",
        ),
        ("root: /x, recipe: docker", "recipe: invalid enum value 'docker'; one of kubernetes, con"),
        ("root: /x, format: xml", "format: invalid enum value 'xml'; one of plain, cri, docker-j"),
        ("root: /x, end: soon", "end: invalid enum value 'soon'; one of never, idle, marker, ren"),
        ("root: /x, start: middle", "start: invalid enum value 'middle'; one of beginning, end"),
        ("root: /x, ingest: maybe", "ingest: invalid enum value 'maybe'; one of watched, always"),
        ("root: /x, idle_s: 0", "idle_s: expected number > 0"),
        ("root: /x, follow_links: 'on a day'", "follow_links: expected true or false or null"),
        ("root: /x, max_age: soon", "max_age: it is not a duration such as 90s, 15m, 12h or 7d"),
        ("root: /x, max_age: -1", "max_age: it is not a duration"),
        *(
            (f"root: /x, glob: '{glob}'", "glob: must be names with '/' between them")
            for glob in ("", "/var/*.log", "../*.log", "a/./b", "a//b", "a/")
        ),
        ("root: /x, files: {stdout: a/b}", "files.stdout: expected text matching"),
        ("root: /x, files: {stderr: ..}", "files.stderr: expected text matching"),
        ("root: /x, files: {stdout: a, stderr: a}", "files.stderr: must be another file than that"),
        (
            "root: /x, format: claude, dialect: codex",
            "dialect: the format says already that it is claude; leave out one",
        ),
        ("root: /x, workspace: a b", "workspace: it must be 1 to 128 letters, digits,"),
        ("root: /x, run_id: ''", "run_id: must not be empty"),
        (
            "root: /x, run_id: '{file}', glob: 'a/*'",
            "run_id: {file} stands for nothing here; there are {1}, {2}, {entry}, {hash}, {name}, ",
        ),
        ("root: /x, run_id: '{2}'", "run_id: {2} stands for nothing here; there are {1}, {entry}"),
        ("root: /x, task_id: '{0}'", "task_id: {0} stands for nothing here"),
        ("root: /x, task_id: '{name'", "task_id: has a brace without its other half"),
        ("root: /x, end: marker", "marker: is missing: the name of the file that ends a run"),
        ("root: /x, marker: done", "end: must be marker, or the marker is never looked for"),
        ("root: /x, end: marker, marker: a/b", "marker: expected text matching"),
        ("root: /x, end: marker, marker: '{name}'", "marker: must be another file than what it"),
        ("root: /x, end: marker, marker: '{1}'", "marker: {1} stands for nothing here; there are"),
        (
            "root: /x, end: marker, marker: out, files: {stdout: out}",
            "marker: must be another file than what it ends",
        ),
    ],
)
def test_a_folder_that_makes_no_sense_is_named(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        entry(text)
    assert caught.value.message.startswith(f"runcast.yaml: watch.logs.{problem}")
    assert "\n" not in caught.value.message


def test_any_part_may_be_named_below_two_stars() -> None:
    assert entry("root: /x, glob: '**/*.log', run_id: '{1}.{7}'").run_id == "{1}.{7}"


def test_the_variable_that_makes_no_sense_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        entry("root: /x", MARKER="done")
    expected = "runcast.yaml, RUNCAST__WATCH__LOGS__MARKER: watch.logs.end: must be marker"
    assert caught.value.message.startswith(expected)


PAGE = Path(__file__).parents[1] / "docs/howto/watch.md"


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL))
def test_every_example_of_the_page_makes_sense(block: str) -> None:
    Path("runcast.yaml").write_text(block)
    assert [resolve(name, watched) for name, watched in load(None, {}, {}).watch.items()]
