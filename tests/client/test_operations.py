"""Every operation against a real server, by either client, with typed results."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runcast.client import BadRequest, Client, Conflict, NotFound, types, workspace_id
from tests.client.both import CLIENTS
from tests.support.server import Server


@pytest.fixture
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.fixture(params=CLIENTS.values(), ids=CLIENTS.keys())
def client(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> Iterator[Client]:
    with request.param(server.url, workspace=tmp_path) as made:
        yield made


def test_a_run_from_its_start_to_its_removal(client: Client, tmp_path: Path) -> None:
    run = client.start(command=["sh", "-c", "pwd; echo oops >&2"], metadata={"a": 1})
    assert (run.workspace_id, run.metadata, run.ended_at) == (
        workspace_id(tmp_path),
        {"a": 1},
        None,
    )
    ended = client.wait(run.id, timeout_s=20)
    assert (ended.status, ended.exit_code, ended.reason) == ("completed", 0, "exit")
    assert ended.ended_at is not None
    assert client.output(run.id, "stdout") == f"{tmp_path}\n".encode()
    assert client.output(run.id, "stderr") == b"oops\n"
    assert [one.id for one in client.list(workspace=run.workspace_id)] == [run.id]
    page = client.events(run.id, after=1)
    assert page.at_end
    assert [event.seq for event in page.events] == list(range(2, ended.last_seq + 1))
    followed = list(client.follow(run.id))
    assert [event.id for event in followed] == list(range(1, ended.last_seq + 2))
    assert [event.id for event in client.follow(run.id, tail=1)] == [
        ended.last_seq,
        ended.last_seq + 1,
    ]
    client.delete(run.id)
    with pytest.raises(NotFound):
        client.get(run.id)


def test_talking_to_a_run(client: Client) -> None:
    run = client.start(command=["cat"], stdin="pipe")
    client.send(run.id, "hello")
    client.send(run.id, "bye", newline=False, eof=True)
    assert client.wait(run.id, timeout_s=20).status == "completed"
    assert client.output(run.id) == b"hello\nbye"
    assert client.approvals(run.id) == []
    with pytest.raises(Conflict) as caught:
        client.send(run.id, "more")
    assert caught.value.code == "run_ended"


def test_cancelling_a_run(client: Client) -> None:
    run = client.start(command=["sleep", "60"])
    client.cancel(run.id)
    assert client.wait(run.id, timeout_s=20).status == "cancelled"


def test_reporting_an_external_run(client: Client) -> None:
    run = client.start(external=True)
    said = {"stream": "stdout", "text": "x" * 70_000}
    span = client.append(run.id, [{"type": "output", "data": said}], after=run.last_seq)
    assert span.first_seq == run.last_seq + 1
    stored = client.events(run.id, after=run.last_seq).events[0]
    if kept := stored.data.get("text_blob"):
        assert client.blob(run.id, kept["id"]) == said["text"].encode()
    with pytest.raises(Conflict) as caught:
        client.append(run.id, [{"type": "output", "data": said}], after=run.last_seq)
    assert caught.value.code == "stale_after"
    client.append(run.id, [{"type": "status", "data": {"status": "failed", "error": "no"}}])
    assert client.get(run.id).error == "no"


def test_searching_what_runs_have_said(client: Client) -> None:
    run = client.start(command=["printf", "above\nneedle\nbelow\n"])
    client.wait(run.id, timeout_s=20)
    result = client.search("needle", workspace=run.workspace_id, context=1)
    (match,) = result.matches
    assert (match.run_id, match.text, match.stream) == (run.id, "needle", "stdout")
    assert (match.before, match.after) == (["above"], ["below"])
    assert result.complete


def test_what_the_server_says_of_itself(client: Client) -> None:
    assert client.status().queue.max > 0
    assert "claude" in [agent.name for agent in client.agents()]
    assert client.tools() == []
    assert client.prune(max_count=1_000_000) == 0


def test_a_process_from_its_report_to_its_removal(client: Client, tmp_path: Path) -> None:
    process = client.submit("Fix the tests", type="editor", full_prompt="Fix all the tests")
    assert isinstance(process, types.Process)
    assert process.workspace_id == workspace_id(tmp_path)
    assert client.get_process(process.id) == process
    first = client.emit_output(process.id, "Looking\n")
    assert client.emit_output(process.id, "Done") == first + 1
    ended = client.update(process.id, status="completed", structured_result={"ok": True})
    assert (ended.status, ended.structured_result, ended.full_prompt) == (
        *("completed", {"ok": True}),
        "Fix all the tests",
    )
    told = [(event.event, event.data.get("content")) for event in client.follow_process(process.id)]
    expected = [("chunk", "Looking\n"), ("chunk", "Done"), ("status", None), ("done", None)]
    assert told == expected
    assert [one.id for one in client.list_processes(workspace=process.workspace_id)] == [process.id]
    counts = {one.workspace_id: one.count for one in client.stats().by_workspace}
    assert counts[process.workspace_id] == 1
    client.remove(process.id)
    client.remove(process.id)
    with pytest.raises(NotFound):
        client.get_process(process.id)


def test_cancelling_and_clearing_processes(client: Client) -> None:
    process = client.submit("x")
    assert client.cancel_process(process.id).status == "cancelled"
    assert client.clear("cancelled") >= 1


def test_a_wrong_report_says_which_field_is_wrong(client: Client) -> None:
    with pytest.raises(BadRequest, match="status"):
        client.submit("x", status="thinking")


def test_a_workspace_can_be_named(client: Client, tmp_path: Path) -> None:
    put = client.put_workspace(str(tmp_path), "Site", color="red")
    assert put == types.Workspace(
        id=workspace_id(tmp_path), name="Site", root_path=str(tmp_path), color="red"
    )
    assert put in client.workspaces()


def test_messages_are_posted_listed_and_followed(client: Client, tmp_path: Path) -> None:
    place = workspace_id(tmp_path)
    first = client.post_message("hello", meta={"a": 1})
    second = client.post_message("again", parents=[first.msg_id])
    listed = client.messages(project_id=place).messages
    assert [(one.msg_id, one.body) for one in listed] == [
        (first.msg_id, "hello"),
        (second.msg_id, "again"),
    ]
    events = client.follow_messages(after=0, project_id=place)
    assert [next(events).read(types.Message) for _ in listed] == listed
    events.close()


def test_envelopes_are_posted(client: Client) -> None:
    task = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
    envelope: dict[str, Any] = {
        "type": "thought",
        "taskId": task,
        "agentId": "a",
        "sequenceNumber": 1,
        "timestamp": "2026-11-21T08:57:30Z",
        "payload": {"content": "hm"},
    }
    assert client.post_envelopes(envelope) == 1
    assert client.post_envelopes([envelope, {**envelope, "sequenceNumber": 2}]) == 2


def test_all_runs_of_a_workspace_are_followed(client: Client, tmp_path: Path) -> None:
    runs = [client.start(command=["echo", str(number)]) for number in range(3)]
    for run in runs:
        client.wait(run.id, timeout_s=20)
    before = client.events(runs[0].id, limit=1).events[0].position - 1
    events = client.follow_all(before, workspace=workspace_id(tmp_path), types=["output"])
    lines = [next(events) for _ in runs]
    events.close()
    assert sorted(event.data["line"] for event in lines) == ["0", "1", "2"]
    assert {event.data["run_id"] for event in lines} == {run.id for run in runs}
    assert [event.id for event in lines] == sorted(event.id for event in lines)
