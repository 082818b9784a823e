"""What is said to a running run: input, and answers to what its agent asks."""

import asyncio
import re
from pathlib import Path

import msgspec
from msgspec.structs import replace

from runcast.agents.control import Control, control
from runcast.core.errors import BadRequest, Conflict, NotFound
from runcast.core.events import Data, Draft, run_log
from runcast.core.once import Once, mapped
from runcast.core.runs import Run
from runcast.runtime.approvals import STATES, Answer, settling
from runcast.runtime.blobs import spilled_beside
from runcast.runtime.clock import now
from runcast.runtime.spill import unspill
from runcast.spool.folder import RunFolder
from runcast.stores import Approval, Span, Stdin, Store

_PIPED = ("pipe", "agent")
_BLOB_ID = re.compile(r"[0-9a-f]{32}")


class Said(msgspec.Struct, frozen=True):
    """Input for a run: a text, with a newline behind it or not, or the end, or both."""

    text: str
    newline: bool = True
    eof: bool = False


async def answer_approval(
    store: Store,
    folder: RunFolder,
    run: Run,
    approval_id: str,
    answer: Answer,
    once: Once | None = None,
) -> Run:
    """Settle an approval and queue the answer for the agent, in one commit; return the run.

    Raises NotFound, or Conflict if it is settled already or the agent cannot be told.
    """
    approval = await _find(store, run, approval_id)
    listening = control(run.dialect) if run.stdin in _PIPED else None
    if listening is None:
        raise Conflict(
            "input_closed",
            f"run {run.id} cannot be answered: it needs an agent that takes answers on its stdin",
        )
    asked = approval.data
    if answer.decision == "allow" and answer.input is None:
        asked = await asyncio.to_thread(_whole, folder, asked)
    said = listening.answer(asked, answer.decision, answer.message, answer.input)
    state = STATES[answer.decision]
    draft = settling(approval, state, now(), message=answer.message, input=answer.input)
    entries = await spilled_beside(folder, [draft])

    def settled(span: Span) -> Run:
        return replace(run, last_seq=span.last, pending_approvals=run.pending_approvals - 1)

    once = mapped(once, settled)
    return settled(await store.append(run_log(run.id), entries, stdin=Stdin(said), once=once))


async def send(
    store: Store, folder: RunFolder, run: Run, said: Said, once: Once | None = None
) -> Run:
    """Queue input for a run and record it as an `input` event, in one commit; return the run.

    An agent that takes prompts on its stdin gets the text as its next one. Raises BadRequest if
    there is nothing to send, or Conflict if the run takes no input.
    """
    _check_open(run)
    if not said.text and not said.eof:
        raise BadRequest.of("text", "must not be empty")
    stdin = Stdin(_input(control(run.dialect) if run.agent else None, said), last=said.eof)
    drafts = [Draft(now(), "input", {"text": said.text})] if said.text else []
    entries = await spilled_beside(folder, drafts)

    def fed(span: Span) -> Run:
        return replace(run, last_seq=span.last)

    once = mapped(once, fed)
    return fed(await store.append(run_log(run.id), entries, stdin=stdin, once=once))


def find_blob(folder: RunFolder, blob_id: str) -> Path:
    """Return the file of a blob; raise NotFound."""
    path = Path(folder.blob_path(blob_id)) if _BLOB_ID.fullmatch(blob_id) else None
    if path is None or not path.is_file():
        raise NotFound("not_found", f"there is no blob {blob_id!r} of this run")
    return path


def _check_open(run: Run) -> None:
    if run.ended:
        raise Conflict("run_ended", f"run {run.id} has already ended: {run.status}")
    if run.stdin != "pipe":
        raise Conflict("input_closed", f'run {run.id} takes no input; start it with stdin "pipe"')
    if run.stdin_ended:
        raise Conflict("input_closed", f"the input of run {run.id} was ended with eof")


def _input(listening: Control | None, said: Said) -> bytes:
    if said.text and listening is not None:
        return listening.prompt(said.text)
    try:
        return (said.text + "\n" if said.newline and said.text else said.text).encode()
    except UnicodeEncodeError:
        raise BadRequest.of("text", "has a character that no UTF-8 can carry") from None


async def _find(store: Store, run: Run, approval_id: str) -> Approval:
    for approval in await store.approvals(run.id):
        if approval.id == approval_id:
            break
    else:
        raise NotFound("not_found", f"run {run.id} has asked nothing with the id {approval_id!r}")
    if approval.state != "pending":
        raise Conflict("approval_settled", f"this approval has been settled: {approval.state}")
    return approval


def _whole(folder: RunFolder, data: Data) -> Data:
    return unspill(data, lambda blob_id: find_blob(folder, blob_id).read_bytes())
