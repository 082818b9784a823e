"""What settings are made of: sections of named fields, and how a reader is told of them."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta


class Section(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A group of settings; an unknown name in it is an error, not a silent no-op."""


class Described(NamedTuple):
    """One setting as the reference page shows it; `name` is dotted, the rest is for people."""

    name: str
    type: str
    default: str
    doc: str


def types(section: type[Section]) -> dict[str, Any]:
    """Return the type of every field, without what only describes it."""
    hints = get_type_hints(section, include_extras=True)
    return {
        name: get_args(hint)[0] if get_origin(hint) is Annotated else hint
        for name, hint in hints.items()
    }


def is_section(hint: Any) -> bool:
    """Tell whether a field of this type is a section of its own."""
    return isinstance(hint, type) and issubclass(hint, Section)


def is_named(hint: Any) -> bool:
    """Tell whether a field of this type holds sections under names that the user chooses."""
    return get_origin(hint) is dict and is_section(get_args(hint)[1])


def is_map(hint: Any) -> bool:
    """Tell whether a field of this type holds plain values under names of any spelling."""
    return get_origin(hint) is dict and not is_named(hint)


def describe(section: type[Section], prefix: str = "") -> Iterator[Described]:
    """Yield every setting in the order of declaration; the same on every machine.

    What the user names is shown as the word in capitals that the field's notes give.
    """
    hints = get_type_hints(section, include_extras=True)
    bare = types(section)
    for field in msgspec.structs.fields(section):
        hint, name = bare[field.name], prefix + field.name
        if is_section(hint):
            yield from describe(hint, f"{name}.")
            continue
        notes = [note for note in hints[field.name].__metadata__ if isinstance(note, Meta)]
        extra: dict[str, str] = next((note.extra for note in notes if note.extra), {})
        if is_named(hint):
            yield from describe(get_args(hint)[1], f"{name}.{extra['entry']}.")
            continue
        doc = next(note.description for note in notes if note.description)
        yield Described(name, _type_text(hint), extra.get("default") or _default_text(field), doc)


def _type_text(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _type_text(arguments[0])
    if origin is list:
        return f"list of {_type_text(arguments[0])}"
    if origin is dict:
        return f"{_type_text(arguments[1])} by name"
    if origin is Literal:
        return " | ".join(arguments)
    if arguments:
        return " | ".join(_type_text(part) for part in arguments)
    return "null" if hint is type(None) else str(hint.__name__)


def _default_text(field: msgspec.structs.FieldInfo) -> str:
    default = field.default
    if default is msgspec.NODEFAULT:
        assert callable(field.default_factory), field.name
        default = field.default_factory()
    return "null" if default is None else msgspec.json.encode(default).decode()
