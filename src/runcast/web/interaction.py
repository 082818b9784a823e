"""Talking with a run over HTTP: text for its stdin, and answers to what its agent asks."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from runcast.core.times import format_time
from runcast.runtime.interaction import Said
from runcast.stores import Approval
from runcast.web.answers import JsonAnswer, JsonRoute, accepted
from runcast.web.once import Repeatable
from runcast.web.routes import RunId, WorkingRuntime, problems
from runcast.web.schemas import ApprovalList, RunAnswer
from runcast.web.submission import Decision, InputText

router = APIRouter(prefix="/api/v1", route_class=JsonRoute, tags=["runs"])

ApprovalId = Annotated[str, Path(description="The approval's id, percent-encoded.")]


@router.post(
    "/runs/{run_id}/input",
    status_code=202,
    response_model=RunAnswer,
    response_description="The run; the text is stored and will be delivered.",
    responses=problems(400, 404, 409),
)
async def send_input(
    run_id: RunId, text: InputText, runtime: WorkingRuntime, once: Repeatable
) -> Response:
    """Send text to a run's command, or a further prompt to its agent.

    Texts arrive in the order in which they were answered, also across a restart of the server.
    """
    said = Said(text.text, text.newline, text.eof)
    return accepted(await runtime.send(run_id, said, once(accepted)))


@router.get(
    "/runs/{run_id}/approvals",
    response_model=ApprovalList,
    response_description="All of them, answered or not.",
    responses=problems(400, 404),
)
async def list_approvals(run_id: RunId, runtime: WorkingRuntime) -> Response:
    """List what a run's agent has asked leave for, in the order it asked."""
    approvals = await runtime.approvals(run_id)
    return JsonAnswer({"approvals": [_public_approval(approval) for approval in approvals]})


def _public_approval(approval: Approval) -> dict[str, object]:
    return {
        **approval.data,
        "id": approval.id,
        "state": approval.state,
        "asked_at": format_time(approval.time),
    }


@router.post(
    # Any rest of the path: `%2F` is decoded before a route is looked for.
    "/runs/{run_id}/approvals/{approval_id:path}",
    status_code=202,
    response_model=RunAnswer,
    response_description="The run; the answer is stored and will be delivered.",
    responses=problems(400, 404, 409),
)
async def answer_approval(
    run_id: RunId,
    approval_id: ApprovalId,
    decision: Decision,
    runtime: WorkingRuntime,
    once: Repeatable,
) -> Response:
    """Allow or deny what a run's agent asks leave for; the first answer wins.

    The id is the agent's choice: any text, percent-encoded, slashes included. Only `.` and `..`
    cannot be sent, which HTTP clients take for steps in the path. A second answer, or one to what
    has expired or was withdrawn, gets 409.
    """
    answer = decision.answer()
    return accepted(await runtime.answer(run_id, approval_id, answer, once(accepted)))
