"""Start the runner of one run: `python -I -S <this file> FOLDER LOCK_FD`."""

import os
import sys


def _start() -> int:
    folder, lock = sys.argv[1], int(sys.argv[2])
    # Before anything else: a command that inherited the lock would make a dead run look alive.
    os.set_inheritable(lock, False)
    # At the end, so that nothing installed beside runcast can shadow the standard library.
    sys.path.append(os.path.abspath(os.path.join(__file__, "..", "..", "..")))

    from runcast.runner.guard import guard

    return guard(folder, lock)


if __name__ == "__main__":
    sys.exit(_start())
