"""The command's input: what was committed for it is brought to the run's folder, once."""

import asyncio
import os

from runcast.core.runs import Run
from runcast.spool.folder import RunFolder
from runcast.stores import Piece, Store


class StdinDelivery:
    """Brings what the store keeps for a run's stdin to the folder, where the runner reads it.

    Each piece has its place in the input, so that one which is delivered again after a crash
    lands on itself.
    """

    def __init__(self, store: Store, run: Run, folder: RunFolder) -> None:
        self.ended = os.path.exists(folder.eof_path)  # noqa: PTH110 - Path.exists may raise
        self._store = store
        self._run_id = run.id
        self._folder = folder

    async def deliver(self) -> None:
        """Deliver what waits; raises OSError or Unavailable, and may then be called again."""
        pieces = await self._store.stdin(self._run_id)
        if not pieces:
            return
        await asyncio.to_thread(self._write, pieces)
        self._folder.order("input")
        await self._store.delivered(self._run_id, pieces[-1].end)

    def _write(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            self._folder.write_input(piece.offset, piece.data)
            if piece.last:
                self._folder.end_input()
                self.ended = True
