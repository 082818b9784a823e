"""The output of a run that was not executed here: the texts in its log, one after the other."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import msgspec

from runcast.core.errors import NotFound
from runcast.core.events import Data, run_log
from runcast.core.limits import READ_BYTES
from runcast.runtime.interaction import find_blob
from runcast.runtime.spill import unspill
from runcast.spool.folder import RunFolder
from runcast.stores import Store


class ReportedOutput:
    """The texts of stdout, of stderr, or (None) of both in their order.

    `ending` comes behind each that ends a line. It is read from the log, so what is there once
    never changes, but more may come.
    """

    def __init__(
        self, store: Store, folder: Path, run_id: str, stream: str | None, ending: bytes = b""
    ) -> None:
        self._store = store
        self._folder = RunFolder(folder)
        self._log = run_log(run_id)
        self._stream = stream
        self._ending = ending

    async def size(self) -> int:
        """Count the bytes; reads the log once."""
        return sum([len(piece) async for piece in self._pieces()])

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to `stop`, in pieces of modest size."""
        at = 0
        async for piece in self._pieces():
            if at >= stop:
                return
            wanted = piece[max(start - at, 0) : stop - at]
            at += len(piece)
            if wanted:
                yield wanted

    async def _pieces(self) -> AsyncIterator[bytes]:
        after = 0
        while batches := await self._store.read(self._log, after, READ_BYTES):
            for batch in batches:
                wanted = [event.data for event in batch.events() if event.type == "output"]
                told = [data for data in wanted if self._is_wanted(data)]
                texts = [await self._text(data) + self._end_of(data) for data in told]
                yield b"".join(texts)
            after = batches[-1].last_seq

    def _is_wanted(self, data: Data) -> bool:
        # As the wires take it: a client may have named any stream, or none.
        stream = "stderr" if data.get("stream") == "stderr" else "stdout"
        return self._stream in (None, stream)

    def _end_of(self, data: Data) -> bytes:
        return b"" if data.get("partial") else self._ending

    async def _text(self, data: Data) -> bytes:
        if "text_blob" in data:
            data = await asyncio.to_thread(self._whole, data)
        text, raw = data.get("text"), data.get("raw")
        if isinstance(raw, str):
            with suppress(ValueError):
                return base64.b64decode(raw, validate=True)
        if isinstance(text, str):
            return text.encode()
        return b"" if text is None else msgspec.json.encode(text)

    def _whole(self, data: Data) -> Data:
        def read(blob_id: str) -> bytes:
            return find_blob(self._folder, blob_id).read_bytes()

        try:
            whole: Data = unspill(data, read)
        except (NotFound, UnicodeDecodeError):
            return data  # no blob of ours: its client wrote it into the event
        return whole
