"""What random stories about a store are made of: mostly what works, now and then what does not."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from runcast.core.events import LIFECYCLE, MESSAGES, Batch, Entry
from runcast.core.once import Answered, Once
from runcast.core.runs import Run
from runcast.stores import ALL_RUNS, Selection, Stdin
from tests.stores.make import PLENTY, facts, lines, say

PICKS = st.integers(0, 4)  # one of the newest runs; beyond those there are, one that is not
TIMES = st.integers(1, 40)
ENTRIES = st.lists(
    st.builds(say, st.text(max_size=3), TIMES)
    | st.builds(lambda texts, time: lines(*texts, time=time), st.lists(st.just("x")), TIMES),
    min_size=1,
    max_size=3,
)
MAYBE_ENTRIES: st.SearchStrategy[list[Entry]] = ENTRIES | ENTRIES | st.just([])
QUESTIONS = st.lists(st.sampled_from("ab"), max_size=2, unique=True)  # few: to meet them again
ANSWERS = st.sampled_from(["allowed", "allowed", "denied", "pending"])
STDIN = st.sampled_from([None, Stdin(b"x"), Stdin(b"yz"), Stdin(b"", last=True)])
# How far a caller's belief is off, mostly not at all; None: it states none.
BELIEFS = st.sampled_from([None, 0, 0, 0, 1])
AFTERS = st.sampled_from([None, None, None, 1])
Talk = tuple[list[Entry], list[str], str, Stdin | None, int | None]
TALK = st.tuples(MAYBE_ENTRIES, QUESTIONS, ANSWERS, STDIN, AFTERS)
BORN = st.sampled_from(["queued", "queued", "running", "running", "running", "failed"])
TASKS = st.sampled_from("tu")
WORKSPACES = st.sampled_from("wx")
SELECTIONS = st.sampled_from([ALL_RUNS, Selection(log=LIFECYCLE), Selection(log=MESSAGES)]) | (
    st.builds(Selection, task_id=st.none() | TASKS, workspace_id=st.none() | WORKSPACES)
)
KEYS = ("k1", "k2", "k3")  # few: to meet them again
MSG_IDS = st.sampled_from("abcdef")
LIMITS = st.sampled_from([1, 100, PLENTY])


def comparable(answer: Any) -> Any:
    """Return what must be equal: `order` says only who came first, and lists show that."""
    match answer:
        case Run():
            return msgspec.structs.replace(answer, order=0)
        case Batch():
            return facts([answer])
        case list():
            return [comparable(item) for item in answer]
    return answer


def a_once(key: str) -> Once:
    return Once(
        key=key,
        fingerprint=b"f",
        time=KEYS.index(key),
        answer=lambda value: Answered(200, {}, msgspec.json.encode(comparable(value))),
    )


ONCES = st.none() | st.sampled_from(KEYS).map(a_once)
