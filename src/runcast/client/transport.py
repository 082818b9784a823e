"""What both clients share of HTTP: the address, the settings of a connection, and its failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from inspect import Signature, signature
from typing import Any, ParamSpec, TypeVar

import httpx2

from runcast.client.call import Answer, Call
from runcast.client.errors import ClientError, NoServer, closed, not_utf8, unsendable
from runcast.client.following import Following

DEFAULT_SERVER = "http://127.0.0.1:7890"
P = ParamSpec("P")
T = TypeVar("T")

_ANSWER_S = 30.0  # a server that says nothing for this long is as good as gone
_CONNECT_S = 10.0
_IDLE_CONNECTIONS = 20
_PORTS = range(1, 65_536)


def settings(base_url: str) -> dict[str, Any]:
    """Return how to make an httpx2 client of the address; raise ClientError if it is none."""
    address = _address(base_url)
    return {
        "base_url": address,
        # Streams take a connection each; a hundred of them would be all that httpx2 allows.
        "limits": httpx2.Limits(max_connections=None, max_keepalive_connections=_IDLE_CONNECTIONS),
        # A proxy of the environment would be asked for our own loopback.
        "trust_env": False,
        # Loading the certificates takes longer than most requests to a plain address.
        "verify": address.startswith("https:"),
    }


def _address(base_url: str) -> str:
    try:
        url = httpx2.URL(base_url)
        url.host.encode("idna")  # as the resolver will, which says little of what is wrong
    except (httpx2.InvalidURL, UnicodeError):
        url = httpx2.URL()
    spaced = any(map(str.isspace, base_url))
    reachable = url.scheme in ("http", "https") and url.host
    if spaced or not reachable or (url.port is not None and url.port not in _PORTS):
        raise ClientError("bad_address", f"{base_url!r} is not an address; write http://HOST:PORT")
    return base_url.rstrip("/")


def request_of(call: Call[Any]) -> dict[str, Any]:
    """Return how httpx2 is asked for a call."""
    body = call.body
    headers = {"Content-Type": "application/json", **call.headers} if body else call.headers
    return {
        "method": call.method,
        "url": call.path,
        "params": call.params,
        "headers": headers,
        "content": body,
        "timeout": _ANSWER_S + call.waits_s,
    }


def stream_of(following: Following) -> dict[str, Any]:
    """Return how httpx2 is asked for the next connection of a stream."""
    return {
        "method": "GET",
        "url": following.path,
        "params": following.params,
        "headers": following.headers,
        "timeout": httpx2.Timeout(_CONNECT_S, read=following.silence_s),
    }


def answer_of(response: httpx2.Response) -> Answer:
    """Return what httpx2 has read as the answer to a call."""
    media_type = response.headers.get("content-type", "")
    return Answer(response.status_code, response.content, media_type)


@contextmanager
def reaching(base_url: str, is_closed: Callable[[], bool]) -> Iterator[None]:
    """Raise errors of ours in place of what httpx2 raises.

    NoServer when nobody answers, BadRequest for what cannot be sent at all, and ClientError
    `closed` once the client is closed, whatever that broke.
    """
    if is_closed():
        raise closed()
    try:
        yield
    except (httpx2.RequestError, RuntimeError) as error:
        if is_closed():
            raise closed() from None
        if isinstance(error, RuntimeError):
            raise
        raise _out_of_reach(base_url, error) from error
    except UnicodeEncodeError as error:
        raise not_utf8(error) from None
    except httpx2.InvalidURL as error:
        raise unsendable(str(error)) from None


def _out_of_reach(base_url: str, error: httpx2.RequestError) -> NoServer:
    why = str(error) or type(error).__name__
    if not isinstance(error, httpx2.ConnectError):
        return NoServer(f"the server at {base_url} does not answer: {why}")
    system = _system_error(error)
    if isinstance(system, ConnectionRefusedError):
        return NoServer(f"no server at {base_url}")
    return NoServer(f"cannot connect to {base_url}: {system.strerror if system else why}")


def _system_error(error: BaseException | None) -> OSError | None:
    """Find what the system said, below what was made of it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            error = error.__cause__ or error.__context__
    return None


def as_method(make: Callable[..., Any], do: Callable[P, T]) -> Callable[P, T]:
    """Give a function of an object the name and the text of another, and its parameters as well."""
    update_wrapper(do, make)
    del do.__wrapped__  # type: ignore[attr-defined]
    it, *_ = signature(do).parameters.values()
    parameters = [it, *signature(make).parameters.values()]
    do.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return do
