"""The page that shows the API's description: plain HTML of our own, which loads nothing."""

import base64
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import cache
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

Description = Mapping[str, Any]  # an OpenAPI document, or a part of it

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, h3 { font-family: ui-monospace, monospace; font-size: .9em; }
h3 { font-size: 1.1rem; margin: 2.5rem 0 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; font-size: .9rem; }
caption { text-align: left; font-weight: 600; }
th, td { text-align: left; vertical-align: top; padding: .2rem .6rem .2rem 0; }
tr { border-bottom: 1px solid color-mix(in srgb, currentcolor 20%, transparent); }
td { overflow-wrap: anywhere; }
td:first-child { min-width: 10rem; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_CODE = re.compile("`([^`]+)`")


def docs_page(describe: Callable[[], Description]) -> Callable[[Request], Awaitable[Response]]:
    """Make the endpoint that serves the page; it is rendered when it is first asked for."""

    @cache
    def page() -> str:
        return render(describe())

    async def docs(_request: Request) -> Response:
        return HTMLResponse(page(), headers={"content-security-policy": _POLICY})

    return docs


def render(document: Description) -> str:
    """Write an OpenAPI document as a page: a table of contents, operations, models."""
    about = document["info"]
    operations = [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    models = document["components"]["schemas"]
    title = escape(f"{about['title']} {about['version']}: HTTP API")
    contents = (
        (_link(op["operationId"], name), _prose(op["description"])) for name, op in operations
    )
    return "".join(
        (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
            '<meta name="viewport" content="width=device-width">',
            f"<style>{_STYLE}</style></head><body><h1>{title}</h1>",
            f"<p>{_prose(about['summary'])} For programs: ",
            '<a href="/openapi.json">/openapi.json</a>.</p>',
            _table("", ("operation", "what it does"), contents),
            *(_operation(name, operation, models) for name, operation in operations),
            "<h2>Models</h2>",
            *(_model(name, model) for name, model in models.items()),
            "</body></html>\n",
        )
    )


def _operation(name: str, operation: Description, models: Description) -> str:
    body = _schema(operation.get("requestBody", {})).get("$ref", "").rpartition("/")[2]
    answers = (
        (escape(status), _prose(answer["description"]), _type(_schema(answer)))
        for status, answer in sorted(operation["responses"].items())
    )
    return "".join(
        (
            _heading(operation["operationId"], name),
            f"<p>{_prose(operation['description'])}</p>",
            _table(
                "Parameters",
                ("name", "in", "type", "required", "meaning"),
                map(_parameter, operation.get("parameters", ())),
            ),
            _fields(f"Body: {body}", models[body]) if body else "",
            _table("Answers", ("status", "meaning", "body"), answers),
        )
    )


def _parameter(parameter: Description) -> tuple[str, ...]:
    schema, required = parameter["schema"], parameter["required"]
    name, kind, *rest = _field(parameter["name"], schema, required=required)
    # There is no way to send a null here: leaving the parameter out is what is meant.
    return (name, escape(parameter["in"]), kind.removesuffix(" or null"), *rest)


def _model(name: str, model: Description) -> str:
    return f"{_heading(name, name)}<p>{_prose(model['description'])}</p>{_fields('', model)}"


def _heading(anchor: str, text: str) -> str:
    return f'<h3 id="{escape(anchor)}">{escape(text)}</h3>'


def _fields(caption: str, model: Description) -> str:
    required = model.get("required", ())
    rows = (
        _field(name, field, required=name in required)
        for name, field in model["properties"].items()
    )
    return _table(caption, ("name", "type", "required", "meaning"), rows)


def _field(name: str, schema: Description, *, required: bool) -> tuple[str, ...]:
    kind = _type(schema)
    if schema.get("default") not in (None, "", {}):
        kind += f"; default {_value(schema['default'])}"
    told = _prose(schema.get("description", ""))
    return (f"<code>{escape(name)}</code>", kind, "yes" if required else "", told)


def _schema(holder: Description) -> Description:
    """Return the schema of a body or an answer; an empty one if it has none."""
    schemas = (media.get("schema", {}) for media in holder.get("content", {}).values())
    return next(schemas, {})


def _value(value: object) -> str:
    return f"<code>{escape(json.dumps(value))}</code>"


# The first of these that a schema has says what the value must be.
_KINDS: dict[str, Callable[[Any], str]] = {
    "$ref": lambda path: _link(path.rpartition("/")[2]),
    "anyOf": lambda schemas: " or ".join(map(_type, schemas)),
    "const": _value,
    "enum": lambda values: " or ".join(map(_value, values)),
    "items": lambda schema: f"list of {_type(schema)}",
    "additionalProperties": lambda rest: f"object of {_type(rest)}" if rest else "object",
    "type": escape,
}
_LIMITS: dict[str, Callable[[Any], str]] = {
    "minimum": lambda least: f"≥ {least:,.15g}",
    "exclusiveMinimum": lambda least: f"&gt; {least:,.15g}",
    "maximum": lambda most: f"≤ {most:,.15g}",
    "pattern": lambda pattern: f"matching <code>{escape(pattern)}</code>",
    "examples": lambda values: f"such as {', '.join(map(_value, values))}",
}


def _type(schema: Description | bool) -> str:
    """Say in a few words what a value must be; nothing for any value."""
    if isinstance(schema, bool):
        return "any values"
    kind = next((say(schema[key]) for key, say in _KINDS.items() if key in schema), "")
    return ", ".join((kind, *(say(schema[key]) for key, say in _LIMITS.items() if key in schema)))


def _link(anchor: str, text: str | None = None) -> str:
    return f'<a href="#{escape(anchor)}"><code>{escape(text or anchor)}</code></a>'


def _prose(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _table(caption: str, head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Lay cells of HTML out as a table; no rows make no table."""
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{told}<thead><tr>{titles}</tr></thead>{lines}</table>" if lines else ""
