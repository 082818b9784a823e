"""Write numbered lines to a log file at a rate, opening it anew at SIGHUP; then say how many."""

import os
import signal
import sys
import time

PATH, RATE, LINES = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def main():
    hups = []
    signal.signal(signal.SIGHUP, lambda *_: hups.append(True))
    fd = os.open(PATH, FLAGS, 0o600)
    began = time.monotonic()
    for number in range(1, LINES + 1):
        if hups:
            hups.clear()
            os.close(fd)
            fd = os.open(PATH, FLAGS, 0o600)
        os.write(fd, b"line %d of a log that is rotated\n" % number)
        ahead = began + number / RATE - time.monotonic()
        if ahead > 0.001:
            time.sleep(ahead)
    print(LINES, flush=True)


main()
