"""The errors of the client: they reach other processes whole, and say whether to try again."""

import copy
import inspect
import pickle
from pathlib import Path
from typing import Any

import pytest

from runcast import client
from runcast.client import (
    ApiError,
    ClientError,
    Gap,
    NoOutbox,
    NoServer,
    OutboxDamaged,
    OutboxError,
    OutboxFull,
)
from runcast.client.errors import not_runcast

ARGUMENTS: dict[type[ClientError], tuple[Any, ...]] = {
    NoServer: ("no server",),
    Gap: (7, {"reason": "retention"}),
    **dict.fromkeys((ClientError, OutboxError), ("a_code", "what to do")),
    NoOutbox: (Path("outbox.db"), "it is a letter"),
    OutboxDamaged: (Path("outbox.db"), Path("outbox.db.damaged")),
    OutboxFull: ("no room",),
}
KINDS = [
    kind
    for kind in (getattr(client, name) for name in client.__all__)
    if inspect.isclass(kind) and issubclass(kind, ClientError)
]


def made(kind: type[ClientError]) -> ClientError:
    if issubclass(kind, ApiError):
        return kind("run_ended", "no", 409, {"field": "x"})
    return kind(*ARGUMENTS[kind])


def test_the_package_exports_every_refusal() -> None:
    assert set(ApiError.__subclasses__()) < set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_comes_whole_out_of_another_process(kind: type[ClientError]) -> None:
    error = made(kind)
    error.add_note("in a worker")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is kind
        assert (str(again), vars(again)) == (str(error), vars(error))


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (NoServer("away"), True),
        (ApiError("draining", "stopping", 503), True),
        (ApiError("too_many_clients", "full", 429), True),
        (ApiError("http_408", "slow", 408), True),
        (ApiError("http_404", "a proxy", 404), True),
        (not_runcast(200), True),
        (ApiError("not_found", "no run", 404), False),
        (ApiError("run_ended", "over", 409), False),
        (ClientError("closed", "it is closed"), False),
        (Gap(7, {}), False),
    ],
)
def test_an_error_says_whether_the_same_may_go_well_later(
    error: ClientError, retryable: bool
) -> None:
    assert error.retryable is retryable
