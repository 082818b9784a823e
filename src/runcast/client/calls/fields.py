"""How ids become paths, and what is given becomes fields and queries."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from runcast.client.errors import BadRequest
from runcast.core.errors import BadRequest as Broken
from runcast.core.ids import check_id

RUNS = "/api/v1/runs"
PROCESSES = "/api/processes"
MESSAGES = "/api/v1/messages"
PAGE = 500  # runs or processes that one answer may hold


def run_path(run_id: str) -> str:
    """Return the path of a run; raise BadRequest `bad_id` for what no run can be called."""
    return f"{RUNS}/{_checked(run_id)}"


def process_path(process_id: str) -> str:
    """Return the path of a process; raise BadRequest `bad_id` for what none can be called."""
    return f"{PROCESSES}/{_checked(process_id)}"


def given(**fields: Any) -> dict[str, Any]:
    """Return the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def query(where: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is given of a query, times as texts."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in where.items()
        if value is not None
    }


def camel(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Name fields as surfaces do that speak camelCase; a None is sent: it clears a field."""
    return {
        "".join([first, *map(str.capitalize, rest)]): value
        for (first, *rest), value in ((name.split("_"), value) for name, value in fields.items())
    }


def _checked(text: str) -> str:
    # In a path, `..` or nothing at all would be another path, whatever is quoted.
    try:
        return check_id(text)
    except Broken as error:
        raise BadRequest(error.code, f"{text[:100]!r}: {error.message}", 400) from None
