"""Raw output: what a command printed, byte for byte, read back from its spool."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import TypeVar

from runcast.spool.records import MAX_RECORD_BYTES, Broken, blocks, whole_records

T = TypeVar("T")
_CHUNK_BYTES = 4 * MAX_RECORD_BYTES


class RawOutput:
    """The bytes of stdout, of stderr, or (None) of both in the order they were read."""

    def __init__(self, folder: Path, stream: str | None, threads: Executor | None = None) -> None:
        self._spool = folder / "output.log"
        self._stream = stream
        self._threads = threads

    async def size(self) -> int:
        """Count the bytes; reads the spool once."""
        return await self._call(lambda: sum(len(piece) for piece in self._pieces()))

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to `stop`, in pieces of modest size."""
        pieces = self._pieces()
        at = 0
        while at < stop and (piece := await self._call(lambda: next(pieces, None))) is not None:
            wanted = piece[max(start - at, 0) : stop - at]
            at += len(piece)
            if wanted:
                yield wanted

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _pieces(self) -> Iterator[bytes]:
        """Yield the wanted bytes of one chunk of the spool after another."""
        try:
            spool = self._spool.open("rb", buffering=0)
        except FileNotFoundError:
            return
        with spool:
            offset = 0
            while data := _read_at(spool.fileno(), offset):
                # A full chunk without a newline is what a power cut left: step over it.
                size = whole_records(data) or (len(data) if len(data) == _CHUNK_BYTES else 0)
                if not size:
                    return
                offset += size
                yield b"".join(self._wanted(data[:size]))

    def _wanted(self, data: bytes) -> Iterator[bytes]:
        for block in blocks(data):
            if isinstance(block, Broken) or self._stream not in (None, block.stream):
                continue
            yield block.raw()


def _read_at(fd: int, offset: int) -> bytes:
    return os.pread(fd, _CHUNK_BYTES, offset)
