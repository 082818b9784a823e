"""Bytes as an answer: all of them, or the one range that the request asks for."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any, NamedTuple, Protocol

from fastapi import Depends, Header
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from runcast.web.problems import answer_problem

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII | re.IGNORECASE)
_BINARY = {"content": {"text/plain": {"schema": {"type": "string", "format": "binary"}}}}

# How a route documents what `answer_bytes` answers.
BYTES: dict[int | str, dict[str, Any]] = {
    200: _BINARY,
    206: {**_BINARY, "description": "The bytes of the range."},
}


class Source(Protocol):
    """Bytes that can be given in pieces; those given once never change, but more may come."""

    async def size(self) -> int:
        """Count the bytes there are now."""

    def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to `stop`, in pieces of modest size."""


class Asked(NamedTuple):
    """What a request asks for: only the headers, perhaps, and a range."""

    head: bool
    range: str | None


async def _asked(
    request: Request,
    range_header: Annotated[
        str | None, Header(alias="Range", description="One range, as in `bytes=0-499`.")
    ] = None,
    if_range: Annotated[str | None, Header(description="Nothing matches it: sends all.")] = None,
) -> Asked:
    return Asked(request.method == "HEAD", None if if_range else range_header)


AskedBytes = Annotated[Asked, Depends(_asked)]


async def answer_bytes(source: Source, asked: Asked, filename: str) -> Response:
    """Answer with the bytes as a download that no browser interprets: 200, 206 or 416."""
    size = await source.size()
    headers = {
        "accept-ranges": "bytes",
        "content-disposition": f'attachment; filename="{filename}"',
    }
    status, wanted = 200, range(size)
    part = None if asked.range is None else _part(asked.range, size)
    if part is not None:
        if not part:
            headers = {"content-range": f"bytes */{size}"}
            message = f"there are {size} bytes"
            return answer_problem(416, "range_not_satisfiable", message, headers=headers)
        status, wanted = 206, part
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    headers["content-length"] = str(len(wanted))
    if asked.head:
        return Response(None, status, headers, "text/plain")
    chunks = source.chunks(wanted.start, wanted.stop)
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
