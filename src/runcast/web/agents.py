"""Agents and tools over HTTP: what a run may name instead of a command."""

from fastapi import APIRouter
from starlette.responses import Response

from runcast.runtime import catalogue
from runcast.web.answers import JsonAnswer, JsonRoute
from runcast.web.routes import WorkingRuntime, problems
from runcast.web.schemas import AgentList, ToolList

router = APIRouter(prefix="/api/v1", route_class=JsonRoute, tags=["runs"])


@router.get(
    "/tools",
    response_model=ToolList,
    response_description="All tools.",
    responses=problems(),
)
async def list_tools(runtime: WorkingRuntime) -> Response:
    """List the configured tools and the arguments they take."""
    return JsonAnswer({"tools": catalogue.list_tools(runtime.settings)})


@router.get(
    "/agents",
    response_model=AgentList,
    response_description="All agents.",
    responses=problems(),
)
async def list_agents(runtime: WorkingRuntime) -> Response:
    """List the agents that a run may name: those of the configuration and the built-in ones."""
    return JsonAnswer({"agents": catalogue.list_agents(runtime.settings)})
