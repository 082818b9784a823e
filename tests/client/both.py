"""Both clients behind one face, so that each test asks the same of either."""

import asyncio
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, Self

import pytest

from runcast.client import AsyncClient, Client
from runcast.client.aio_events import EventStream, PieceStream


class Blocking:
    """An AsyncClient whose methods are waited for."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = self._runner.run(self._made(arguments, options))

    async def _made(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> AsyncClient:
        return AsyncClient(*arguments, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._runner:
            self._runner.run(self._client.close())

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found):
            return found

        def waited(*arguments: Any, **options: Any) -> Any:
            result = found(*arguments, **options)
            if isinstance(result, EventStream | PieceStream):
                return self._each(result)
            return self._runner.run(result)

        return waited

    def _each(self, source: EventStream | PieceStream) -> Generator[Any]:
        try:
            while True:
                yield self._runner.run(source.__anext__())
        except StopAsyncIteration:
            pass
        finally:
            self._runner.run(source.close())


Make = Callable[..., Client]
CLIENTS: dict[str, Any] = {"sync": Client, "asyncio": Blocking}
either = pytest.mark.parametrize("make", CLIENTS.values(), ids=CLIENTS.keys())
