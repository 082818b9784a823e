"""Calls that are to happen once: their answers are kept in the commit of what they did."""

from typing import Any

import apsw
import msgspec

from runcast.core.once import Answered, Once
from runcast.stores import rules
from runcast.stores.sqlite import queries
from runcast.stores.sqlite.ledger import Ledger
from runcast.stores.sqlite.writer import Operation

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Answered).decode


def perform_once(ledger: Ledger, operation: Operation[Any], once: Once) -> Any:
    """Perform an operation and keep its answer, unless there is one already."""
    rules.check_once(once.key, taken=bool(ledger.query(queries.ANSWERED, once.key)))
    outcome = operation(ledger)
    doc = _encode(once.answer(outcome))
    ledger.query(queries.ADD_ANSWER, once.key, once.time, once.fingerprint, doc)
    return outcome


def forget(ledger: Ledger, before: int) -> int:
    """Drop the answers to what was asked before this time; return how many went."""
    return len(ledger.query(queries.FORGET_ANSWERS, before))


def answered(connection: apsw.Connection, key: str) -> tuple[bytes, Answered] | None:
    """Return the fingerprint and the answer that are kept under a key."""
    for fingerprint, doc in connection.execute(queries.ANSWERED, (key,)):
        return fingerprint, _decode(doc)
    return None
