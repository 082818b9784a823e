"""Raw output and blobs over HTTP: bytes of a run, whole or a range of them."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Literal

import fastapi
from fastapi import APIRouter, Query
from starlette.responses import Response

from runcast.core.errors import NotFound
from runcast.core.limits import READ_BYTES
from runcast.web.ranges import BYTES, AskedBytes, answer_bytes
from runcast.web.routes import RunId, WorkingRuntime, problems

router = APIRouter(prefix="/api/v1", tags=["runs"])


@router.head("/runs/{run_id}/output", include_in_schema=False)
@router.get(
    "/runs/{run_id}/output",
    response_class=Response,
    response_description="The bytes.",
    responses={**BYTES, **problems(400, 404, 416)},
)
async def read_output(
    run_id: RunId,
    runtime: WorkingRuntime,
    asked: AskedBytes,
    stream: Annotated[
        Literal["stdout", "stderr"] | None,
        Query(description="One stream; both, in the order they were read, if absent."),
    ] = None,
) -> Response:
    """Download what a command printed so far, byte for byte."""
    output = runtime.output(await runtime.get(run_id), stream)
    return await answer_bytes(output, asked, f"{run_id}.{stream or 'output'}.txt")


class _File:
    """The bytes of a file that no longer changes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def size(self) -> int:
        try:
            return (await asyncio.to_thread(self._path.stat)).st_size
        except FileNotFoundError:
            raise NotFound("not_found", "the run has just been deleted") from None

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        while start < stop and (piece := await asyncio.to_thread(self._read, start, stop)):
            start += len(piece)
            yield piece

    def _read(self, start: int, stop: int) -> bytes:
        # Opened for each piece, so that a download that is given up holds nothing open.
        with self._path.open("rb", buffering=0) as file:
            return os.pread(file.fileno(), min(READ_BYTES, stop - start), start)


@router.head("/runs/{run_id}/blobs/{blob_id}", include_in_schema=False)
@router.get(
    "/runs/{run_id}/blobs/{blob_id}",
    response_class=Response,
    response_description="The text, in UTF-8.",
    responses={**BYTES, **problems(400, 404, 416)},
)
async def read_blob(
    run_id: RunId,
    blob_id: Annotated[str, fastapi.Path(description="The `id` in an event's `<field>_blob`.")],
    runtime: WorkingRuntime,
    asked: AskedBytes,
) -> Response:
    """Download the whole of a text that was too long for its event, which has its beginning."""
    path = runtime.blob(await runtime.get(run_id), blob_id)
    return await answer_bytes(_File(path), asked, f"{run_id}.{blob_id}.txt")
