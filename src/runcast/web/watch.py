"""Watched folders over HTTP: what is found in them, and what of it is being read."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from runcast.runtime.watching import EntryState
from runcast.web.answers import JsonAnswer, JsonRoute
from runcast.web.routes import WorkingRuntime, problems
from runcast.web.schemas import WatchList

router = APIRouter(prefix="/api/v1", route_class=JsonRoute, tags=["runs"])


@router.get(
    "/watch",
    response_model=WatchList,
    response_description="All of them, in the order of the configuration.",
    responses=problems(),
)
async def list_watched(runtime: WorkingRuntime) -> Response:
    """List the watched folders, what was found in each, and what keeps it from being read."""
    return JsonAnswer({"watch": [_shown(state) for state in runtime.watching.entries()]})


def _shown(state: EntryState) -> dict[str, Any]:
    entry = state.entry
    return {
        "name": entry.name,
        "root": entry.root,
        "glob": entry.glob,
        "format": entry.framing,
        "dialect": entry.dialect,
        "workspace": entry.workspace,
        "ingest": "always" if entry.always else "watched",
        "sources": state.sources,
        "tailed": state.tailed,
        "ended": state.ended,
        "left_alone": state.left_alone,
        "older": state.older,
        "not_ingested": state.not_ingested,
        "unreadable": state.unreadable,
        "hints": state.hints,
        "problem": state.problem,
    }
