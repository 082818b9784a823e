"""The checker finds whatever can be wrong with what a client got."""

from typing import Any

import pytest

from tests.clients.wires_checker import Log, Told, fault

TIME = "2026-11-21T08:57:30.123Z"
RUN = {"id": "r", "task_id": "t", "workspace_id": "w", "source": "run", "type": "command"}
OUTCOME = {"status": "completed", "reason": "exit", "exit_code": 0, "signal": None}


def made(*events: tuple[str, dict[str, Any]]) -> Log:
    numbered = enumerate(events, 1)
    return Log(
        RUN,
        [
            {"seq": n, "position": n + 10, "time": TIME, "type": name, "data": data}
            for n, (name, data) in numbered
        ],
    )


def output(text: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return "output", {"stream": "stdout", "text": text, **more}


LOG = made(output("a"), ("custom", {"name": "n", "value": 1}), output("a"), ("status", OUTCOME))
AS_CHUNKS = [
    Told("chunk", {"content": "a\n"}, 1),
    Told("chunk", {"content": "a\n"}, 3),
    Told("status", {"status": "completed", "duration": "0.1s"}, 4),
    Told("done", {"processId": "r"}, 5),
]


def changed(number: int, **fields: Any) -> list[Told]:
    told = list(AS_CHUNKS)
    told[number] = told[number]._replace(**fields)
    return told


def test_what_is_right_has_no_fault() -> None:
    assert fault("processes", LOG, AS_CHUNKS) == ""


@pytest.mark.parametrize(
    "told",
    [
        pytest.param([], id="nothing"),
        pytest.param(AS_CHUNKS[1:], id="without the first"),
        pytest.param(AS_CHUNKS[:1] + AS_CHUNKS[2:], id="without one between"),
        pytest.param(AS_CHUNKS[:-1], id="without the end"),
        pytest.param(AS_CHUNKS[:1] + AS_CHUNKS, id="one twice"),
        pytest.param([*AS_CHUNKS, AS_CHUNKS[-1]], id="the end twice"),
        pytest.param([AS_CHUNKS[1], AS_CHUNKS[0], *AS_CHUNKS[2:]], id="out of order"),
        pytest.param([*AS_CHUNKS[:2], Told("message", {}), *AS_CHUNKS[2:]], id="a phantom"),
        pytest.param(changed(1, data={"content": "a"}), id="another text"),
        pytest.param(changed(1, data={}), id="no text"),
        pytest.param(changed(1, name="log"), id="another name"),
        pytest.param(changed(1, id=2), id="another id"),
        pytest.param(changed(1, id=None), id="no id"),
    ],
)
def test_every_fault_is_found(told: list[Told]) -> None:
    assert fault("processes", LOG, told) != ""


JOINED = made(output("a", partial=True), output("b"), output("c"), ("error", {"message": "d"}))


def activity(seq: int, content: str, type: str = "agent_output", **more: Any) -> Told:
    known = {"workOrderId": "t", "runId": "r", "timestamp": TIME, "type": type}
    return Told("message", {**known, "seq": seq, "position": seq + 10, "content": content, **more})


ERROR = activity(4, "d", "agent_error")


def test_joined_messages_are_taken_for_what_they_were_made_of() -> None:
    assert fault("activity", JOINED, [activity(3, "ab\nc", firstSeq=1), ERROR]) == ""
    apart = [activity(1, "a", partial=True), activity(2, "b"), activity(3, "c")]
    assert fault("activity", JOINED, [*apart, ERROR]) == ""


@pytest.mark.parametrize(
    "told",
    [
        pytest.param([activity(3, "ab\nc", firstSeq=2), ERROR], id="begun later"),
        pytest.param([activity(2, "ab\nc", firstSeq=1), ERROR], id="ended earlier"),
        pytest.param([activity(3, "abc", firstSeq=1), ERROR], id="without a newline"),
        pytest.param([activity(3, "ab\n", firstSeq=1), ERROR], id="without a part"),
        pytest.param([activity(4, "ab\nc\nd", firstSeq=1)], id="over an error"),
    ],
)
def test_faults_of_joining_are_found(told: list[Told]) -> None:
    assert fault("activity", JOINED, told) != ""


@pytest.mark.parametrize("change", [{"more": 1}, {"taskId": "other"}])
def test_an_envelope_must_be_the_one_that_came_in(change: dict[str, Any]) -> None:
    envelope = {"type": "thought", "taskId": "t", "payload": {"content": "x"}}
    log = made(("thought", {"text": "x", "envelope": envelope}), ("status", OUTCOME))
    assert fault("envelopes", log, [Told("message", envelope, 11)]) == ""
    assert fault("envelopes", log, [Told("message", envelope | change, 11)]) != ""
