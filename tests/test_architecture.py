"""What the import rules cannot see: the repository as it is given to others."""

import subprocess
import sys
from pathlib import Path

import pytest

import runcast

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
STANDALONE = [*(SOURCE / "runcast/runner").glob("*.py"), *(SOURCE / "runcast/spool").glob("*.py")]


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return [path for path in paths if path.is_file()]


@pytest.mark.parametrize("path", STANDALONE, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_module_of_the_runner_loads_with_the_standard_library_alone(path: Path) -> None:
    module = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    program = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); import {module}"
    subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True)


def test_no_pin_says_where_packages_come_from() -> None:
    for path in (*ROOT.glob("requirements/*.txt"), *ROOT.glob("tests/*/package-lock.json")):
        assert "://" not in path.read_text(), path


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    home, checkout = str(Path.home()), str(ROOT)
    for path in _tracked():
        text = path.read_text(errors="replace")
        assert checkout not in text, path
        assert f"{home}/" not in text, path


def test_the_version_is_said_once() -> None:
    assert f'version = "{runcast.__version__}"' in (ROOT / "pyproject.toml").read_text()
