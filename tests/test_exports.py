"""Every row of every table of names leads to something that exists."""

from importlib import import_module

import pytest

import runcast
from runcast.cli.main import COMMANDS
from runcast.parsers import PARSERS
from runcast.stores import STORES
from runcast.wires import WIRES

ROWS = {
    f"{title}: {name}": target
    for title, table in (
        ("command", COMMANDS),
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


def test_the_package_exports_nothing_but_its_version() -> None:
    public = {name for name in vars(runcast) if not name.startswith("_")}
    modules = {name for name in public if type(getattr(runcast, name)).__name__ == "module"}
    assert public == modules
    assert runcast.__version__.count(".") == 2
