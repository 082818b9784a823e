"""Prints text that could break a stream, over and over until told to stop, and records it.

usage: oddities.py RECORD STOP

RECORD gets every byte before it is printed.
"""

import itertools
import os
import sys
import time

LINE_S = 0.005
LONG_EVERY = 15  # rounds

ODD = [
    b"",
    b" ",
    b"  two spaces before and after  ",
    b"\ttab\tand\x0bother\x0cblanks",
    "€ ä 😀 e\u0301 \u202eturned\u202c \ufeffmark".encode(),
    "\u2028 and \u2029 and \x85 end lines elsewhere".encode(),
    b"\0",
    b"before\0after",
    b"\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J",
    b"50 %\r100 %",
    b"a line of DOS\r",
    b"\r\r",
    b"data: x",
    b"data:",
    b"event: end",
    b"id: 9",
    b"id: 99999",
    b"id:\0",
    b"retry: 1",
    b": hb",
    b":",
    b'{"run_id": "x", "last_seq": 9}',
    b'"quoted" \\n \\u0000 \\',
    b"</script><img onerror=alert(1)>",
    b"no UTF-8: \xff\xc0\x80 \xed\xa0\x80",
]
LONG = "0123456789 long é ".encode() * 3_200


def rounds() -> "itertools.chain[bytes]":
    return itertools.chain.from_iterable(
        [b"round %d" % number, *ODD, *([LONG] if number % LONG_EVERY == 0 else [])]
        for number in itertools.count()
    )


def main() -> int:
    record, stop = sys.argv[1:]
    with open(record, "ab", buffering=0) as kept:
        for line in rounds():
            kept.write(line + b"\n")
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.flush()
            if os.path.exists(stop):
                return 0
            time.sleep(LINE_S)
    return 0


if __name__ == "__main__":
    sys.exit(main())
