"""Loading of settings: flags over environment over file over defaults, every mistake named."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple, get_args

import msgspec
import yaml

from runcast import config_agents, config_watch_faults
from runcast.config import Settings
from runcast.config_section import Section, is_map, is_section, types
from runcast.config_words import located, worded
from runcast.core.errors import ConfigError

DEFAULT_FILE = Path("runcast.yaml")
# The double underscore tells a setting from variables such as RUNCAST_RUN_ID or RUNCAST_SERVER.
ENV_PREFIX = "RUNCAST__"

_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_ENTRY = "[...]"  # how msgspec's paths show a key that the user chose


def load(file: Path | None, environ: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """Read the settings; what is said nearer to the command line wins.

    `file` is the one that was asked for and must exist; None takes `runcast.yaml` of the
    current folder if there is one. Environment names are `RUNCAST__API__SSE__POLL_INTERVAL_MS`.
    `flags` maps dotted names to values; None is a flag that was not given. An unknown name, a
    wrong type, a value out of range, or an agent, tool or watched folder that makes no sense raises
    ConfigError: one line with the source and the path.
    """
    settings = Settings()
    layers = list(_layers(file, environ, flags))
    for layer in layers:
        _overlay(settings, layer.read(), layer.values[0])
    for section, name, field, fault in _faults(settings):
        sources = [layer.source for layer in layers if name in layer.values[0].get(section, ())]
        raise ConfigError(f"{', '.join(sources)}: {section}.{name}.{field}: {fault}")
    return settings


def _faults(settings: Settings) -> Iterator[config_agents.Fault]:
    yield from config_agents.faults(settings.agents, settings.tools)
    yield from config_watch_faults.faults(settings.watch)


class _Layer(NamedTuple):
    """One source; `values` are readings of it to try in turn, the first being the likely one."""

    source: str
    values: list[dict[str, Any]]
    strict: bool = True

    def read(self) -> Settings:
        failures: list[str] = []
        for value in self.values:
            try:
                return msgspec.convert(value, Settings, strict=self.strict)
            except msgspec.ValidationError as error:
                failures.append(str(error))
        raise ConfigError(f"{self.source}: {self._explain(failures[0], self.values[0], Settings)}")

    def _explain(self, problem: str, value: Any, hint: Any, prefix: str = "") -> str:
        """Turn msgspec's words into `path: what is wrong`; `prefix` is where `value` lies."""
        text, path = located(problem)
        path, entry, _ = path.partition(_ENTRY)
        unknown = _UNKNOWN.fullmatch(text)
        if not entry and unknown is None:
            return f"{_dotted(path, prefix)}: {worded(text, _type_at(path, hint))}"
        for name in path.removeprefix("key in ").split(".")[1:]:
            value, hint, prefix = value[name], _inside(hint, name), f"{prefix}{name}."
        if entry:
            return self._explain_entry(value, get_args(hint)[1], prefix)
        assert unknown is not None
        name = unknown["name"]
        return f"{prefix + name or repr('')}: unknown setting{_suggest(name, hint, prefix)}"

    def _explain_entry(self, entries: dict[str, Any], hint: Any, prefix: str) -> str:
        """Find the entry that was wrong, whose name msgspec does not tell."""
        for name, value in entries.items():
            try:
                msgspec.convert(value, hint, strict=self.strict)
            except msgspec.ValidationError as error:
                return self._explain(str(error), value, hint, f"{prefix}{name}.")
        raise AssertionError(f"nothing is wrong with {prefix}")


def _layers(
    file: Path | None, environ: Mapping[str, str], flags: Mapping[str, Any]
) -> Iterator[_Layer]:
    chosen = file if file is not None else DEFAULT_FILE
    if file is not None or chosen.exists():
        yield _Layer(str(chosen), [_read_file(chosen)])
    for name, text in environ.items():
        if name.startswith(ENV_PREFIX):
            path = _path(name.removeprefix(ENV_PREFIX).split("__"))
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


def _path(words: list[str]) -> list[str]:
    """Spell the parts of a variable's name as a file would: what is no setting keeps its case."""
    path: list[str] = []
    hint: Any = Settings
    for place, word in enumerate(words):
        if is_map(hint):
            return [*path, "__".join(words[place:])]
        path.append(word.lower())
        hint = _inside(hint, path[-1])
    return path


def _inside(hint: Any, name: str) -> Any:
    """Return the type of what has this name in something of type `hint`; None if nothing has."""
    return types(hint).get(name) if is_section(hint) else (get_args(hint) or (None,))[-1]


def _type_at(path: str, hint: Any) -> Any:
    """Return the type of what lies at a path within something of type `hint`."""
    return reduce(_inside, path.split(".")[1:], hint)


def _nest(path: list[str], value: Any) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    nested: dict[str, Any] = value
    return nested


def _overlay(onto: Section, parsed: Section, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        setattr(onto, name, _merged(getattr(onto, name), getattr(parsed, name), value))


def _merged(old: Any, new: Any, given: Any) -> Any:
    if isinstance(new, Section) and isinstance(old, Section):
        _overlay(old, new, given)
        return old
    if isinstance(new, dict):
        return old | {name: _merged(old.get(name), new[name], given[name]) for name in new}
    return new


def _dotted(path: str, prefix: str) -> str:
    """Put the path where msgspec says `$`: `$.queue`, `key in $.queue`, `key in $`, `$`."""
    return path.replace("$.", prefix, 1).replace("$", prefix[:-1] or "the settings", 1)


def _suggest(name: str, section: type[Section], prefix: str) -> str:
    close = get_close_matches(name, types(section), n=1)
    return f"; did you mean {prefix}{close[0]}?" if close else ""
