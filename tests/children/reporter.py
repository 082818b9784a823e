"""Reports a process through an outbox for as long as it lives: URL FILE ID.

Prints the number of each report once that is kept.
"""

import sys
import time
from itertools import count, islice

from runcast.client import Client, Outbox

BACKLOG = 20  # so that there is something to send from the first moment on
MOST_WAITING = 200  # more would only take longer to be sent in the end
PAUSE_S = 0.01


def main(url: str, file: str, process_id: str) -> None:
    with Client(url) as client:
        outbox = Outbox(client, file)
        outbox.submit("to be killed", id=process_id)
        numbers = count()
        for number in islice(numbers, BACKLOG):
            keep(outbox, process_id, number)
        with outbox.keep_flushing():
            for number in numbers:
                keep(outbox, process_id, number)
                time.sleep(PAUSE_S)
                while outbox.waiting() > MOST_WAITING:
                    time.sleep(PAUSE_S)


def keep(outbox: Outbox, process_id: str, number: int) -> None:
    outbox.emit_output(process_id, f"{number}\n")
    print(number, flush=True)


main(*sys.argv[1:])
