"""Messages of the bus in the database: events of a shared log that are known by their own ids."""

from collections.abc import Sequence

from runcast.core.events import MESSAGES
from runcast.stores import Span, rules
from runcast.stores.rules import Packed
from runcast.stores.sqlite import queries
from runcast.stores.sqlite.ledger import Ledger


def add(ledger: Ledger, msg_id: str, packed: Packed, parents: Sequence[str]) -> Span:
    """Append a message whose parents are there."""
    log = ledger.log(MESSAGES)
    unknown = [parent for parent in parents if not _has(ledger, parent, log.first)]
    rules.check_message(msg_id, taken=_has(ledger, msg_id, log.first), unknown=unknown)
    ledger.add(MESSAGES, packed)
    ledger.query(queries.SAVE_MESSAGE_ID, log.last + 1, msg_id)
    return Span(log.last + 1, log.last + 1, ledger.position)


def _has(ledger: Ledger, msg_id: str, first: int) -> bool:
    return bool(ledger.query(queries.HAS_MESSAGE, msg_id, first)[0][0])
