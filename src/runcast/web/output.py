"""Raw output over HTTP: the bytes a command printed, whole or a range of them."""

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from runcast.web.problems import answer_problem
from runcast.web.routes import RunId, WorkingRuntime, problems

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII | re.IGNORECASE)
_BINARY = {"content": {"text/plain": {"schema": {"type": "string", "format": "binary"}}}}

router = APIRouter(prefix="/api/v1", tags=["runs"])


@router.head("/runs/{run_id}/output", include_in_schema=False)
@router.get(
    "/runs/{run_id}/output",
    response_class=Response,
    response_description="The bytes.",
    responses={
        200: _BINARY,
        206: {**_BINARY, "description": "The bytes of the range."},
        **problems(400, 404, 416),
    },
)
async def read_output(
    request: Request,
    run_id: RunId,
    runtime: WorkingRuntime,
    stream: Annotated[
        Literal["stdout", "stderr"] | None,
        Query(description="One stream; both, in the order they were read, if absent."),
    ] = None,
    range_header: Annotated[
        str | None, Header(alias="Range", description="One range, as in `bytes=0-499`.")
    ] = None,
    if_range: Annotated[str | None, Header(description="Nothing matches it: sends all.")] = None,
) -> Response:
    """Download what a command printed so far, byte for byte."""
    output = runtime.output(await runtime.get(run_id), stream)
    size = await output.size()
    headers = {
        "accept-ranges": "bytes",
        "content-disposition": f'attachment; filename="{run_id}.{stream or "output"}.txt"',
    }
    status, wanted = 200, range(size)
    part = None if if_range or range_header is None else _part(range_header, size)
    if part is not None:
        if not part:
            headers = {"content-range": f"bytes */{size}"}
            message = f"the output has {size} bytes"
            return answer_problem(416, "range_not_satisfiable", message, headers=headers)
        status, wanted = 206, part
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    headers["content-length"] = str(len(wanted))
    if request.method == "HEAD":
        return Response(None, status, headers, "text/plain")
    chunks = output.chunks(wanted.start, wanted.stop)
    return StreamingResponse(chunks, status, headers, "text/plain")


def _part(header: str, size: int) -> range | None:
    """Read a `Range` header: None if it is not one range of bytes, empty if beyond the end.

    RFC 9110 section 14.2 lets a server ignore a range that it does not understand.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match[0].endswith("=-"):
        return None
    first, last = match.groups()
    if not first:
        return range(max(size - int(last), 0), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)
