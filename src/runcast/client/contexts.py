"""What is closed when its block is left."""

from typing import Self


class Closing:
    """Something that `with` closes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        raise NotImplementedError


class AsyncClosing:
    """Something that `async with` closes."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close it."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close it: by this name `contextlib.aclosing` does."""
        await self.close()
