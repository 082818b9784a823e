"""The two process settings that only Linux has, through prctl.

Where prctl is missing, both do nothing: orphans of a run then escape to init, where only the
sweep by environment finds them, and a killed worker does not take the command along at once.
Where /proc is missing too, no process is found to be ended: runs end by themselves only.
"""

from __future__ import annotations

import ctypes

from runcast.spool.light import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_ZERO = ctypes.c_ulong(0)
_prctl = getattr(ctypes.CDLL(None), "prctl", None)


def become_subreaper() -> None:
    """Become the parent of every orphan below this process."""
    _set(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies."""
    _set(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _set(option: int, value: int) -> None:
    if _prctl is not None:
        _prctl(option, ctypes.c_ulong(value), _ZERO, _ZERO, _ZERO)
