"""Workspaces over HTTP: add, change and list the folders that runs belong to."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from runcast.core.workspaces import Workspace
from runcast.web.answers import JsonAnswer, JsonRoute
from runcast.web.once import Repeatable
from runcast.web.process_schemas import TextProblem, WorkspaceList, WorkspacePut, WorkspaceShown
from runcast.web.routes import WorkingRuntime, problems

router = APIRouter(prefix="/api", route_class=JsonRoute, tags=["workspaces"])


@router.post(
    "/workspaces",
    status_code=201,
    response_model=WorkspaceShown,
    response_description="The workspace.",
    responses=problems(400, 409, model=TextProblem),
)
async def put_workspace(
    workspace: WorkspacePut, runtime: WorkingRuntime, once: Repeatable
) -> Response:
    """Add a workspace; with the id and folder of one that exists, give it this name and color.

    Two workspaces may share a folder. The id of one that has another folder gets 409.
    """
    put = await runtime.workspaces.put(
        workspace.id, workspace.name, workspace.root_path, workspace.color, once(_created)
    )
    return _created(put)


@router.get(
    "/workspaces",
    response_model=WorkspaceList,
    response_description="All workspaces.",
    responses=problems(model=TextProblem),
)
async def list_workspaces(runtime: WorkingRuntime) -> Response:
    """List all workspaces, `default` first, the others as they were added."""
    return JsonAnswer({"workspaces": [_shown(one) for one in await runtime.workspaces.list()]})


def _created(workspace: Workspace) -> JsonAnswer:
    return JsonAnswer(_shown(workspace), 201)


def _shown(workspace: Workspace) -> dict[str, Any]:
    shown = {"id": workspace.id, "name": workspace.name, "rootPath": workspace.root_path}
    return shown if workspace.color is None else {**shown, "color": workspace.color}
