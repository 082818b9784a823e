"""Signals and JSON without the modules `signal` and `json`, for the sake of the runner.

Those two bring in `enum` and `re`: 1.1 MiB in each worker and guard, and 9 ms at each start.
"""

from __future__ import annotations

from _json import encode_basestring_ascii, make_scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Any
else:
    import _signal as signal

__all__ = ["decode", "encode", "signal", "signal_name"]

_ALIASES = {"SIGCLD", "SIGIOT", "SIGPOLL"}
_SIGNAL_NAMES = {
    int(getattr(signal, name)): name
    for name in dir(signal)
    if name.startswith("SIG") and name[3] != "_" and name not in _ALIASES
}


class _Plain:
    """What the scanner of the `json` package reads from its decoder: no special handling."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


_WORDS = {"None": "null", "True": "true", "False": "false"}
_scan = make_scanner(_Plain)  # type: ignore[arg-type]


def signal_name(number: int) -> str:
    """Name a signal, as `SIGKILL`."""
    return _SIGNAL_NAMES.get(number, f"SIG{number}")


def decode(data: bytes) -> Any:
    """Read one JSON value; raise ValueError if there is none."""
    try:
        return _scan(data.decode().strip(), 0)[0]
    except (StopIteration, SystemError):  # the latter where it looks for json's own exception
        raise ValueError("this is not JSON") from None


def encode(value: Any) -> str:
    """Write dicts with str keys, lists, str, numbers, booleans and None as ASCII JSON."""
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if isinstance(value, dict):
        pairs = (f"{encode_basestring_ascii(name)}:{encode(item)}" for name, item in value.items())
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(encode, value)) + "]"
    if value is None or isinstance(value, bool | int | float):
        return _WORDS.get(repr(value)) or repr(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
