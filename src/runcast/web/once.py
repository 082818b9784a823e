"""Requests that may be repeated: under one `Idempotency-Key` they are done once.

A route that creates, appends, changes or removes takes part with one parameter and one line:

    async def rename(run_id: RunId, name: Name, runtime: WorkingRuntime, once: Repeatable):
        def respond(run: Run) -> Response:
            return JsonAnswer({"run": public_run(run)})

        return respond(await runtime.rename(run_id, name.text, once(respond)))

`once(respond)` is what the runtime's call wants: None if the request has no key. `respond` is
called a second time within the commit, in another thread, so it may only make the answer from
the result. The route must be a JsonRoute, which answers the repeated requests.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, NamedTuple
from weakref import WeakValueDictionary

from fastapi import Depends, Header
from starlette.requests import Request
from starlette.responses import Response

from runcast.core.errors import BadRequest, Conflict
from runcast.core.once import Answered, Once
from runcast.runtime.clock import now

HEADER = "Idempotency-Key"
REPLAYED = {"idempotency-replayed": "true"}
KEY_PATTERN = "^[!-~]{1,128}$"

_CLIENT = "anybody"  # whose key it is: without tokens all clients are one
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_TELLING_HEADERS = ("content-type", "x-workspace-id")  # that say what is asked for

Respond = Callable[[Any], Response]
# Which keys somebody is at work for; an entry lasts as long as somebody holds or awaits its lock.
Turns = WeakValueDictionary[str, asyncio.Lock]


class _Asked(NamedTuple):
    """What a request asks to be done once."""

    key: str
    fingerprint: bytes


async def answer_once(
    request: Request, handle: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Answer a request by `handle`, unless its key has an answer already: then by that one.

    Requests under one key wait for one another. Raises BadRequest for what is no key, or
    Conflict `idempotency_conflict` if the key belongs to another request.
    """
    keys = request.headers.getlist(HEADER)
    # What is drained or only looks goes its usual way.
    if not keys or request.method in _SAFE_METHODS or request.app.state.runtime.draining:
        return await handle(request)
    asked = await _asked(request, keys)
    async with request.app.state.turns.setdefault(asked.key, asyncio.Lock()):
        if (kept := await _kept(request, asked)) is not None:
            return kept
        request.state.asked = asked
        try:
            return await handle(request)
        except Conflict as error:
            # Another process of the same store was faster.
            if error.code != "idempotency_conflict" or not (kept := await _kept(request, asked)):
                raise
            return kept


async def _asked(request: Request, keys: list[str]) -> _Asked:
    if len(keys) > 1 or not re.fullmatch(KEY_PATTERN, keys[0]):
        raise BadRequest.of(HEADER, "must be one key of 1 to 128 visible ASCII characters")
    said = [request.url.query, *(request.headers.get(name, "") for name in _TELLING_HEADERS)]
    head = "\n".join(said).encode()  # no header and no query has a line end
    fingerprint = hashlib.sha256(head + b"\n" + await request.body()).digest()
    # Unambiguous: neither the method nor the key has a blank.
    return _Asked(f"{_CLIENT} {request.method} {request.url.path} {keys[0]}", fingerprint)


async def _kept(request: Request, asked: _Asked) -> Response | None:
    """Return the answer that is kept; raise Conflict if it was given to another request."""
    found = await request.app.state.runtime.store.answered(asked.key)
    if found is None:
        return None
    fingerprint, answer = found
    if fingerprint != asked.fingerprint:
        raise Conflict(
            "idempotency_conflict",
            f"this {HEADER} was used for another request; a new request needs a new key",
        )
    return Response(answer.body, answer.status, {**answer.headers, **REPLAYED})


def _once(asked: _Asked | None, respond: Respond) -> Once | None:
    if asked is None:
        return None
    answer = partial(_answered, respond)
    return Once(key=asked.key, fingerprint=asked.fingerprint, time=now(), answer=answer)


def _answered(respond: Respond, result: Any) -> Answered:
    response = respond(result)
    return Answered(response.status_code, dict(response.headers), bytes(response.body))


async def _repeatable(
    request: Request,
    _key: Annotated[
        str | None,
        Header(
            alias=HEADER,
            pattern=KEY_PATTERN,
            description="A text of your own: the same request under it again, within 24 hours, "
            "does nothing and gets the same answer, marked `Idempotency-Replayed: true`.",
        ),
    ] = None,
) -> Callable[[Respond], Once | None]:
    return partial(_once, getattr(request.state, "asked", None))


Repeatable = Annotated[Callable[[Respond], Once | None], Depends(_repeatable)]
