"""Prints steadily and in bursts until told to stop, and records exactly what it printed.

usage: talker.py RECORD STOP EXIT_CODE LINES_PER_SECOND

Text is cut anywhere, in the middle of characters too, and the last line has no newline.
RECORD.stdout and RECORD.stderr are written, and flushed to the disk, before each print.
"""

import os
import random
import sys
import time

TICK_S = 0.01
BURST_LINES = 3_000
PAUSE_S = 0.15  # longer than an unfinished line is held back
ALPHABET = "abc äöü € 😀 \r\t\0"


class Talker:
    def __init__(self, record: str) -> None:
        self._chance = random.Random(os.getpid())
        self._line = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._records = {
            1: os.open(f"{record}.stdout", flags, 0o600),
            2: os.open(f"{record}.stderr", flags, 0o600),
        }

    def say(self, data: bytes, stream: int = 1) -> None:
        record = self._records[stream]
        os.write(record, data)
        os.fsync(record)
        view = memoryview(data)
        while view:
            view = view[os.write(stream, view) :]

    def lines(self, count: int) -> bytes:
        made = []
        for _ in range(count):
            self._line += 1
            made.append(f"{self._line} {''.join(self._chance.choices(ALPHABET, k=20))}\n")
        return "".join(made).encode()

    def torn(self) -> None:
        """Print a few lines in two pieces, with a pause where the text is cut."""
        data = self.lines(3)
        place = self._chance.randrange(len(data))
        self.say(data[:place])
        time.sleep(PAUSE_S)
        self.say(data[place:])

    def surprise(self) -> None:
        match self._chance.randrange(4):
            case 0:
                self.torn()
            case 1:
                self.say(self.lines(BURST_LINES))
            case 2:
                self.say(self.lines(20), stream=2)
            case 3:
                self.say(self._chance.randbytes(200) + b"\n")


def main() -> int:
    record, stop, code, rate = sys.argv[1:]
    talker = Talker(record)
    tick = 0
    next_at = time.monotonic()
    while not os.path.exists(stop):
        talker.say(talker.lines(round(int(rate) * TICK_S)))
        tick += 1
        if tick % 30 == 0:
            talker.surprise()
        next_at = max(next_at + TICK_S, time.monotonic() - PAUSE_S)
        time.sleep(max(0.0, next_at - time.monotonic()))
    talker.say("the end, with no newline €".encode())
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
