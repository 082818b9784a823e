"""Every row of every table of names leads to something that exists."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import runcast
from runcast.agents import DRIVERS
from runcast.agents.control import CONTROLS
from runcast.cli.main import COMMANDS
from runcast.parsers import PARSERS
from runcast.stores import STORES
from runcast.wires import WIRES

ROWS = {
    f"{title}: {name}": target
    for title, table in (
        ("command", COMMANDS),
        ("control", CONTROLS),
        ("driver", DRIVERS),
        ("parser", PARSERS),
        ("store", STORES),
        ("wire", WIRES),
    )
    for name, target in table.items()
}


@pytest.mark.parametrize("target", ROWS.values(), ids=ROWS.keys())
def test_every_row_of_a_table_can_be_imported(target: str) -> None:
    module, _, name = target.partition(":")
    assert callable(getattr(import_module(module), name))


def test_the_package_exports_what_its_stub_says() -> None:
    stub = Path(runcast.__file__).with_suffix(".pyi").read_text()
    assert set(re.findall(r'"(\w+)"', stub)) == set(runcast.__all__)
    assert set(runcast.__all__) < set(dir(runcast))
    assert all(hasattr(runcast, name) for name in runcast.__all__)
    assert runcast.__version__.count(".") == 2


def test_there_is_nothing_else_in_the_package() -> None:
    public = {name for name in vars(runcast) if not name.startswith("_")}
    assert public == {name for name in public if isinstance(getattr(runcast, name), ModuleType)}
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = runcast.nonsense  # type: ignore[attr-defined]


def test_importing_the_package_loads_nothing_else() -> None:
    program = (
        "import sys; before = set(sys.modules); import runcast; print(set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True
    )
    assert done.stdout == "{'runcast'}\n"
