"""What both clients share of HTTP: the address, the settings of a connection, and its failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from typing import Any, ParamSpec, TypeVar, cast

import httpx2

from runcast.client.call import Call
from runcast.client.errors import ClientError, NoServer
from runcast.client.following import Following

DEFAULT_SERVER = "http://127.0.0.1:7890"
P = ParamSpec("P")
T = TypeVar("T")

_ANSWER_S = 30.0  # a server that says nothing for this long is as good as gone
_CONNECT_S = 10.0


def settings(base_url: str) -> dict[str, Any]:
    """Return how to make an httpx2 client of the address; raise ClientError if it is none."""
    address = _address(base_url)
    return {
        "base_url": address,
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
    if url.scheme not in ("http", "https") or not url.host:
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


@contextmanager
def reaching(base_url: str) -> Iterator[None]:
    """Raise NoServer in place of what httpx2 raises when nobody answers."""
    try:
        yield
    except httpx2.ConnectError:
        raise NoServer(f"no server at {base_url}") from None
    except (httpx2.TransportError, httpx2.InvalidURL) as error:
        why = str(error) or type(error).__name__
        raise NoServer(f"the server at {base_url} does not answer: {why}") from None


def like(make: Callable[..., Any], method: Callable[P, T]) -> Callable[P, T]:
    """Give a method the name, the text and the parameters of the function that it calls."""
    return cast("Callable[P, T]", update_wrapper(method, make))
