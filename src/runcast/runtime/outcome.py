"""What a run came to: the runner's record, the agent's last word and its stderr, weighed. Pure."""

import signal
from typing import Any

import msgspec

from runcast.core.runs import Process, Reason, Status
from runcast.parsers import Account, Word

# The runner's reason -> status; `exit` depends on the code and on what the agent said.
_STATUS: dict[str, Status] = {
    "signal": "failed",
    "timeout": "failed",
    "spawn": "failed",
    "lost": "failed",
    "agent": "failed",
    "cancelled": "cancelled",
}
LOST = "the runner is gone and left no record of how the command ended"


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run's end beside the runner's record.

    `interrupted` says that the agent could be asked to stop in its own way, and was,
    `hung` that it was ended because it did not exit after its last word, `must_speak` that its
    dialect has a terminal line.
    """

    cancel_requested: bool = False
    interrupted: bool = False
    hung: bool = False
    account: Account | None = None
    must_speak: bool = False


def outcome_of(record: dict[str, Any], evidence: Evidence) -> tuple[Status, dict[str, Any]]:
    """Return the status and the outcome fields of a run.

    A contradiction is a failure: an agent completed only if it said so, where its dialect lets
    it, exited with 0, and left no tool call without an answer.
    """
    reason, error = _verdict(record, evidence)
    if reason == "exit":
        status: Status = "completed" if record["exit_code"] == 0 else "failed"
    else:
        status = _STATUS[reason]
    word = evidence.account.word if evidence.account else None
    fields = {
        "reason": reason,
        "exit_code": record.get("exit_code"),
        "signal": record.get("signal"),
        "error": record.get("error") or error,
        "result": word.text if word and word.ok else None,
        "ended_at": record["ended_at"],
        "killed": _processes(record.get("killed")),
        "leftovers": _processes(record.get("leftovers")),
        "lost_bytes": record.get("lost_bytes"),
    }
    if record.get("started_at") is not None:
        fields["started_at"] = record["started_at"]
    return status, fields


def _verdict(record: dict[str, Any], evidence: Evidence) -> tuple[Reason, str | None]:
    """Return why the run ended, and the sentence that says so."""
    reason: Reason = record["reason"]
    account = evidence.account or Account()
    if reason == "lost" and evidence.cancel_requested:
        return "cancelled", None  # the runner had to be killed because it did not obey
    if reason == "cancelled" and evidence.hung and not evidence.cancel_requested:
        return "agent", _after_word(account)
    if reason != "exit" or evidence.account is None:
        return reason, explain(reason, record)
    completed = record["exit_code"] == 0 and account.word is not None and account.word.ok
    if evidence.interrupted and not completed:
        return "cancelled", None
    contradiction = _contradiction(record["exit_code"], account, must_speak=evidence.must_speak)
    if contradiction is not None:
        return "agent", contradiction
    return "exit", _with_complaint(explain("exit", record), account)


def _contradiction(exit_code: int, account: Account, *, must_speak: bool) -> str | None:
    """Say why the agent failed, whatever its exit code; None if only the exit code speaks."""
    word = account.word
    if word is not None and not word.ok:
        return _why(word)
    if exit_code != 0:
        return None
    if word is None and must_speak:
        return _with_complaint("the agent exited without saying how it ended", account)
    if account.open_calls:
        tools = ", ".join(dict.fromkeys(account.open_calls))
        return f"the agent ended while it waited for an answer of {tools}"
    return None


def _after_word(account: Account) -> str:
    if account.word is not None and not account.word.ok:
        return _why(account.word)
    return "the agent said that it had finished, but did not exit and had to be ended"


def _why(word: Word) -> str:
    return word.text or "the agent said that it failed, and not why"


def _with_complaint(sentence: str | None, account: Account) -> str | None:
    if sentence is None or not account.complaint:
        return sentence
    return f"{sentence}: {account.complaint}"


def explain(reason: Reason, record: dict[str, Any]) -> str | None:
    """Say in a sentence why a run failed; None where the fields say it all."""
    match reason:
        case "exit" if record["exit_code"]:
            return f"the command exited with code {record['exit_code']}"
        case "signal":
            return f"the command was ended by {record['signal']} ({_meaning(record['signal'])})"
        case "timeout":
            return "the command ran longer than its timeout"
        case "lost":
            return LOST
    return None


def _meaning(name: str) -> str:
    try:
        return signal.strsignal(signal.Signals[name]) or name
    except KeyError:
        return name


def _processes(found: list[dict[str, Any]] | None) -> list[Process] | None:
    return [Process(one["pid"], one["command"]) for one in found] if found else None
