"""Loading of settings: flags over environment over file over defaults, every mistake named."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml

from runcast.config import Section, Settings, describe
from runcast.core.errors import ConfigError

DEFAULT_FILE = Path("runcast.yaml")
# The double underscore tells a setting from variables such as RUNCAST_RUN_ID or RUNCAST_SERVER.
ENV_PREFIX = "RUNCAST__"

_LOCATED = re.compile(r"(?P<text>.*) - at (?P<path>.*)", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)


def load(file: Path | None, environ: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """Read the settings; what is said nearer to the command line wins.

    `file` is the one that was asked for and must exist; None takes `runcast.yaml` of the
    current folder if there is one. Environment names are `RUNCAST__API__SSE__POLL_INTERVAL_MS`.
    `flags` maps dotted names to values; None is a flag that was not given. An unknown name, a
    wrong type or a value out of range raises ConfigError: one line with the source and the path.
    """
    settings = Settings()
    for layer in _layers(file, environ, flags):
        _overlay(settings, layer.read(), layer.values[0])
    return settings


class _Layer(NamedTuple):
    """One source; `values` are readings of it to try in turn, the first being the likely one."""

    source: str
    values: list[dict[str, Any]]
    strict: bool = True

    def read(self) -> Settings:
        failures: list[msgspec.ValidationError] = []
        for value in self.values:
            try:
                return msgspec.convert(value, Settings, strict=self.strict)
            except msgspec.ValidationError as error:
                failures.append(error)
        raise ConfigError(f"{self.source}: {_explain(str(failures[0]))}")


def _layers(
    file: Path | None, environ: Mapping[str, str], flags: Mapping[str, Any]
) -> Iterator[_Layer]:
    chosen = file if file is not None else DEFAULT_FILE
    if file is not None or chosen.exists():
        yield _Layer(str(chosen), [_read_file(chosen)])
    for name, text in environ.items():
        if name.startswith(ENV_PREFIX):
            path = name.removeprefix(ENV_PREFIX).lower().split("__")
            yield _Layer(name, [_nest(path, value) for value in _readings(text)], strict=False)
    for dotted, value in flags.items():
        if value is not None:
            yield _Layer("command line", [_nest(dotted.split("."), value)])


def _read_file(path: Path) -> dict[str, Any]:
    try:
        value = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: expected names with values")
    return value


def _readings(text: str) -> list[Any]:
    """Read a variable as YAML, and as plain text: `memory:` is a URL, not a mapping."""
    try:
        return [yaml.safe_load(text), text]
    except yaml.YAMLError:
        return [text]


def _nest(path: list[str], value: Any) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    nested: dict[str, Any] = value
    return nested


def _overlay(onto: Section, parsed: Section, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        new = getattr(parsed, name)
        if isinstance(new, Section):
            _overlay(getattr(onto, name), new, value)
        else:
            setattr(onto, name, new)


def _explain(problem: str) -> str:
    """Turn msgspec's words into `path: what is wrong`."""
    located = _LOCATED.fullmatch(problem)
    text, path = (located["text"], located["path"].replace("`", "")) if located else (problem, "$")
    unknown = _UNKNOWN.fullmatch(text)
    if unknown:
        path = _dotted(f"{path}.{unknown['name']}")
        return f"{path or repr('')}: unknown setting{_suggest(path)}"
    return f"{_dotted(path)}: {text[:1].lower()}{text[1:].replace('`', '')}"


def _dotted(path: str) -> str:
    """Drop the `$` that msgspec's paths begin with: `$.queue`, `key in $.queue`, `key in $`."""
    return path.replace("$.", "", 1).replace("key in $", "key in the settings")


def _suggest(dotted: str) -> str:
    names = {described.name for described in describe()}
    names |= {name.rpartition(".")[0] for name in names}
    names.discard("")
    close = get_close_matches(dotted, names, n=1, cutoff=0.75)
    return f"; did you mean {close[0]}?" if close else ""
