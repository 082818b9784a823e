"""What can be asked of the message bus, and envelopes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from runcast.client import types
from runcast.client.call import WORKSPACE_HEADER, Call, one, whole
from runcast.client.calls.fields import MESSAGES, given, query

if TYPE_CHECKING:
    from runcast.client import specs


def post_message(body: str, **about: Unpack[specs.About]) -> Call[types.Posted]:
    """Post a message to everybody who follows the bus; it is kept when this returns."""
    said = {"body": body, **about}
    read = whole(types.Posted)
    return Call(method="POST", path=MESSAGES, json=said, read=read, workspace="project_id")


def messages(
    after: int | None = None, limit: int | None = None, **where: Unpack[specs.MessageFilter]
) -> Call[types.MessagePage]:
    """Return the messages after number `after`, from the first kept without, oldest first."""
    params = given(after=after, limit=limit) | query(where)
    return Call(method="GET", path=MESSAGES, params=params, read=whole(types.MessagePage))


def post_envelopes(envelopes: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Call[int]:
    """Post one envelope, or several in order: all or none; return how many were taken."""
    return Call(
        method="POST",
        path="/api/v1/envelopes",
        json=envelopes,
        read=one("accepted", int),
        workspace=WORKSPACE_HEADER,
    )
