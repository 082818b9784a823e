"""Prints the lines of a file, some at a time, once it is told to begin.

usage: print_lines.py FILE LINES PAUSE_S BEGIN

It begins when there is a file BEGIN.
"""

import itertools
import os
import sys
import time


def main() -> int:
    path, count, pause_s, begin = sys.argv[1:]
    while not os.path.exists(begin):
        time.sleep(float(pause_s))
    with open(path, "rb") as lines:
        while some := list(itertools.islice(lines, int(count))):
            sys.stdout.buffer.write(b"".join(some))
            sys.stdout.flush()
            time.sleep(float(pause_s))
    return 0


if __name__ == "__main__":
    sys.exit(main())
