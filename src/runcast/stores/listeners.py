"""Telling listeners of what was committed."""

import logging
from collections.abc import Sequence

from runcast.core.events import Batch
from runcast.stores import Listener

logger = logging.getLogger(__name__)


def tell(listeners: Sequence[Listener], batches: Sequence[Batch]) -> None:
    """Call every listener, even if one fails: the events are committed, whatever it does."""
    if not batches:
        return
    for listener in listeners:
        try:
            listener(batches)
        except Exception:
            logger.exception("store: a listener failed")
