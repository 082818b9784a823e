"""How a watched run ended: what its marker says, and its agent's last word. Pure."""

from typing import Any

from runcast.core.runs import Status
from runcast.parsers import Account
from runcast.runtime.outcome import Evidence, outcome_of
from runcast.tail.markers import Ending


def outcome_at(
    ending: Ending, account: Account | None, *, must_speak: bool, time: int
) -> tuple[Status, dict[str, Any]]:
    """Return the status and the outcome fields of a run that ended like this, now or before.

    Where it is known how the command exited, that is weighed with what an agent said as in any
    run. Where it is not, an agent that said that it failed is still believed.
    """
    known = ending.exit_code is not None or ending.signal is not None
    if not known and account is not None:
        account = Account(word=account.word, complaint=account.complaint)
    record = {
        "reason": "exit" if ending.signal is None else "signal",
        "exit_code": ending.exit_code or 0,
        "signal": ending.signal,
        "ended_at": ending.ended_at or time,
    }
    evidence = Evidence(account=account, must_speak=must_speak and known)
    status, outcome = outcome_of(record, evidence)
    outcome["exit_code"] = ending.exit_code
    if ending.status == "cancelled":
        return "cancelled", outcome | {"reason": "cancelled", "error": None}
    if status == "completed" and (not known or ending.status != "completed"):
        return ending.status, outcome | {"reason": None}
    return status, outcome
