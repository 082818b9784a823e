"""Agents that ask and are told: approvals, prompts, interrupts and ends, over HTTP alone."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from tests.support.runs import cancel, child, events, folder_of, get, members, wait_ended
from tests.support.server import Server
from tests.support.sse import Frame, read_stream
from tests.support.waiting import until

ASKED = "be3e22af-e5dc-406b-aec4-092afe48d708"  # in the recorded session
WANTED = {"file_path": "/home/dev/project/new.txt", "content": "hello\n"}
GRACE_S = 1


SETTINGS = {
    "RUNCAST__AGENTS__CLAUDE__COMMAND": json.dumps(child("claude_stand_in")),
    "RUNCAST__RUNS__GRACE_S": str(GRACE_S),
    "RUNCAST__RUNS__LINGER_S": "0.5",
    "RUNCAST__RUNS__PROGRESS_INTERVAL_MS": "200",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("approvals") / "data", SETTINGS)
    server.start()
    yield server
    server.close()


def start(client: httpx2.Client, prompt: str, **fields: Any) -> str:
    answer = client.post("/api/v1/runs", json={"agent": "claude", "prompt": prompt, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["run"]["id"])


def start_and_wait(client: httpx2.Client, prompt: str = "say hello", **fields: Any) -> str:
    """Start the agent and wait until it has asked."""
    run_id = start(client, prompt, **fields)
    until(lambda: get(client, run_id)["pending_approvals"] == 1, "the agent to ask")
    return run_id


def answer(client: httpx2.Client, run_id: str, decision: str, **more: Any) -> httpx2.Response:
    path = f"/api/v1/runs/{run_id}/approvals/{ASKED}"
    return client.post(path, json={"decision": decision, **more})


def refusal(response: httpx2.Response) -> tuple[int, str]:
    """Return the status and the code of an answer that says no."""
    return response.status_code, response.json()["error"]["code"]


def states(client: httpx2.Client, run_id: str) -> list[str]:
    return [data["state"] for data in data_of(client, run_id, "approval")]


def data_of(client: httpx2.Client, run_id: str, kind: str) -> list[dict[str, Any]]:
    return [event["data"] for event in events(client, run_id) if event["type"] == kind]


def heard(client: httpx2.Client, run_id: str) -> list[dict[str, Any]]:
    """Return what the agent says that it was answered."""
    customs = data_of(client, run_id, "custom")
    return [data["value"]["heard"] for data in customs if "heard" in data["value"]]


def test_two_people_see_a_question_one_answers_and_the_agent_goes_on(
    server: Server, client: httpx2.Client
) -> None:
    run_id = start_and_wait(client)
    seen: list[list[Frame]] = []
    readers = [
        threading.Thread(target=lambda: seen.append(list(read_stream(server.port, run_id))))
        for _ in range(2)
    ]
    for reader in readers:
        reader.start()
    assert states(client, run_id) == ["pending"]

    first, second = answer(client, run_id, "allow"), answer(client, run_id, "deny")

    assert first.status_code == 202
    assert refusal(second) == (409, "approval_settled")
    run = wait_ended(client, run_id)
    assert (run["status"], run["reason"], run["pending_approvals"]) == ("completed", "exit", 0)
    assert run["result"] == "Done. I said hello and wrote new.txt."
    assert heard(client, run_id) == [{"behavior": "allow", "updatedInput": WANTED}]
    for reader in readers:
        reader.join(20)
    for frames in seen:
        asked, told = [frame.data for frame in frames if frame.event == "approval"]
        assert (asked["id"], asked["tool"], asked["input"]) == (ASKED, "Write", WANTED)
        assert (asked["state"], told["state"], told["id"]) == ("pending", "allowed", ASKED)
    assert len(seen) == 2


def test_a_denial_reaches_the_agent_with_its_reason(client: httpx2.Client, server: Server) -> None:
    run_id = start_and_wait(client)
    assert answer(client, run_id, "deny", message="Not in this folder.").status_code == 202
    assert wait_ended(client, run_id)["status"] == "completed"
    assert heard(client, run_id) == [{"behavior": "deny", "message": "Not in this folder."}]
    refused = data_of(client, run_id, "tool_result")[-1]
    assert (refused["ok"], refused["content"]) == (False, "Not in this folder.")


def test_what_is_allowed_can_be_changed(client: httpx2.Client) -> None:
    run_id = start_and_wait(client)
    changed = {"file_path": "/tmp/elsewhere.txt", "content": "hello\n"}
    assert answer(client, run_id, "allow", input=changed).status_code == 202
    wait_ended(client, run_id)
    assert heard(client, run_id) == [{"behavior": "allow", "updatedInput": changed}]
    assert data_of(client, run_id, "approval")[-1]["input"] == changed


@pytest.mark.parametrize("stop", ["terminate", "kill9"])
def test_a_question_outlives_the_server(make_server: Callable[..., Server], stop: str) -> None:
    server = make_server(**SETTINGS)
    with server.client() as client:
        run_id = start_and_wait(client)
        before = events(client, run_id)
    getattr(server, stop)()
    server.start()
    with server.client() as client:
        assert get(client, run_id)["pending_approvals"] == 1
        assert answer(client, run_id, "allow").status_code == 202
        assert refusal(answer(client, run_id, "allow")) == (409, "approval_settled")
        run = wait_ended(client, run_id)
        assert (run["status"], run["pending_approvals"]) == ("completed", 0)
        assert states(client, run_id) == ["pending", "allowed"]
        assert len(heard(client, run_id)) == 1
        after = events(client, run_id)
        assert after[: len(before)] == before
        assert [event["seq"] for event in after] == list(range(1, len(after) + 1))


def test_an_answer_given_just_before_a_crash_is_delivered_after_it(
    make_server: Callable[..., Server],
) -> None:
    server = make_server(**SETTINGS)
    with server.client() as client:
        run_id = start_and_wait(client)
        assert answer(client, run_id, "allow").status_code == 202
    server.kill9()
    server.start()
    with server.client() as client:
        assert wait_ended(client, run_id)["status"] == "completed"
        assert len(heard(client, run_id)) == 1


def test_a_question_that_nobody_answers_is_withdrawn_at_the_end(client: httpx2.Client) -> None:
    run_id = start_and_wait(client, "stubborn")
    cancel(client, run_id)
    run = wait_ended(client, run_id)
    assert (run["status"], run["pending_approvals"]) == ("cancelled", 0)
    assert states(client, run_id) == ["pending", "withdrawn"]
    assert refusal(answer(client, run_id, "allow")) == (409, "approval_settled")
    unknown = client.post(f"/api/v1/runs/{run_id}/approvals/x", json={"decision": "allow"})
    assert refusal(unknown) == (404, "not_found")


def test_a_cancelled_agent_is_interrupted_in_its_own_way_first(client: httpx2.Client) -> None:
    run_id = start_and_wait(client, grace_s=20)
    cancel(client, run_id)
    run = wait_ended(client, run_id, timeout=10)
    assert (run["status"], run["reason"], run["exit_code"]) == ("cancelled", "cancelled", 1)
    assert data_of(client, run_id, "error")[-1]["message"] == "Request was aborted."


def test_an_agent_that_ignores_its_interrupt_is_gone_within_the_grace(
    server: Server, client: httpx2.Client
) -> None:
    run_id = start_and_wait(client, "stubborn")
    cancel(client, run_id)
    run = wait_ended(client, run_id, timeout=GRACE_S + 2)
    assert (run["status"], run["signal"]) == ("cancelled", "SIGTERM")
    assert not members(folder_of(server.data_dir, run_id))


def test_an_agent_that_does_not_exit_after_its_last_word_is_ended(client: httpx2.Client) -> None:
    run_id = start_and_wait(client, "hang")
    answer(client, run_id, "allow")
    run = wait_ended(client, run_id, timeout=10)
    assert (run["status"], run["reason"]) == ("failed", "agent")
    assert "did not exit" in run["error"]


def test_an_agent_that_leaves_without_its_last_word_has_failed(client: httpx2.Client) -> None:
    run_id = start_and_wait(client, "vanish")
    answer(client, run_id, "allow")
    run = wait_ended(client, run_id)
    assert (run["status"], run["reason"], run["exit_code"]) == ("failed", "agent", 0)
    assert "without saying how it ended" in run["error"]


def test_an_interactive_agent_takes_prompts_until_its_input_ends(client: httpx2.Client) -> None:
    run_id = start_and_wait(client, stdin="pipe")
    answer(client, run_id, "allow")
    until(lambda: data_of(client, run_id, "usage"), "the first turn to end")
    path = f"/api/v1/runs/{run_id}/input"
    assert client.post(path, json={"text": "once more"}).status_code == 202
    # The same question again: an id that was used is no new approval, but is not lost either.
    until(lambda: len(data_of(client, run_id, "tool_call")) == 4, "the second turn to begin")
    assert data_of(client, run_id, "input") == [{"text": "once more"}]
    assert get(client, run_id)["ended_at"] is None
    assert client.post(path, json={"eof": True}).status_code == 202
    assert refusal(client.post(path, json={"text": "and again"})) == (409, "input_closed")
    run = wait_ended(client, run_id)
    assert (run["status"], run["exit_code"]) == ("failed", 3)


def test_progress_is_told_while_an_agent_waits_and_once_at_the_end(client: httpx2.Client) -> None:
    run_id = start_and_wait(client)
    until(lambda: len(data_of(client, run_id, "progress")) >= 2, "progress to be told")
    waiting = data_of(client, run_id, "progress")[-1]
    assert (waiting["phase"], waiting["tool_calls"]) == ("waiting for approval", 2)
    answer(client, run_id, "allow")
    wait_ended(client, run_id)
    kinds = [event["type"] for event in events(client, run_id)]
    assert kinds[-2:] == ["progress", "status"]
    elapsed = [data["elapsed_s"] for data in data_of(client, run_id, "progress")]
    assert elapsed == sorted(elapsed)
    assert data_of(client, run_id, "progress")[-1]["phase"] == "finished"
