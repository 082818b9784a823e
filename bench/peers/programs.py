"""Where programs are that people install with their system."""

import os
import shutil

_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])


def find(name: str) -> str | None:
    """Return the path of a program, also of one that is meant for the administrator."""
    return shutil.which(name, path=_PATH)
