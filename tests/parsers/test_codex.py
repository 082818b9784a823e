"""What Codex prints beyond the recorded transcripts."""

import json

import pytest

from runcast.parsers import Word
from tests.parsers.transcripts import events_of, parse, spool_of


def completed(kind, **item):
    return {"type": "item.completed", "item": {"id": "i", "type": kind, **item}}


def started(kind, **item):
    return {"type": "item.started", "item": {"id": "i", "type": kind, **item}}


@pytest.mark.parametrize(
    ("item", "call", "answer"),
    [
        (
            {"type": "command_execution", "command": "ls", "status": "completed", "exit_code": 0},
            ("command_execution", {"command": "ls"}),
            (True, ""),
        ),
        (
            {"type": "command_execution", "command": "ls", "status": "declined"},
            ("command_execution", {"command": "ls"}),
            (False, ""),
        ),
        (
            {"type": "command_execution", "command": "ls", "status": "completed", "exit_code": 1},
            ("command_execution", {"command": "ls"}),
            (False, ""),
        ),
        (
            {
                "type": "mcp_tool_call",
                "server": "files",
                "tool": "read",
                "arguments": {"path": "/a"},
                "result": {"content": [{"type": "text", "text": "hello"}]},
                "status": "completed",
            },
            ("files.read", {"path": "/a"}),
            (True, "hello"),
        ),
        (
            {
                "type": "mcp_tool_call",
                "server": "files",
                "tool": "read",
                "arguments": None,
                "error": {"message": "no such file"},
                "status": "failed",
            },
            ("files.read", None),
            (False, "no such file"),
        ),
        ({"type": "web_search", "query": "x"}, ("web_search", {"query": "x"}), (True, "x")),
        (
            {
                "type": "collab_tool_call",
                "tool": "spawn_agent",
                "prompt": "go",
                "agents_states": {"a": "done"},
                "status": "completed",
            },
            ("spawn_agent", {"prompt": "go"}),
            (True, '{"a":"done"}'),
        ),
    ],
)
def test_an_item_without_a_start_is_a_call_and_its_result(item, call, answer):
    (_, asked), (_, answered) = events_of("codex", completed(item["type"], **item))

    assert (asked["tool"], asked["input"]) == call
    assert (answered["ok"], answered["content"]) == answer
    assert asked["tool_call_id"] == answered["tool_call_id"] == "i"


def test_files_are_changed_when_the_change_is_completed():
    changes = [
        {"path": "/a", "kind": "add"},
        {"path": "/b", "kind": "delete"},
        {"path": "/c", "kind": "update"},
    ]
    done = events_of("codex", completed("file_change", changes=changes, status="completed"))
    failed = events_of("codex", completed("file_change", changes=changes, status="failed"))

    assert [data for _, data in done[2:]] == [
        {"path": "/a", "action": "created"},
        {"path": "/b", "action": "deleted"},
        {"path": "/c", "action": "modified"},
    ]
    assert [kind for kind, _ in failed] == ["tool_call", "tool_result"]


def test_a_strange_change_leaves_no_call_half_open():
    item = {"changes": [{"path": "/a", "kind": "add"}, {"path": 5}], "status": "completed"}
    found = events_of("codex", completed("file_change", **item))

    assert [data["name"] for _, data in found] == ["item.completed"]


def test_plans_and_updates_are_kept_and_new_items_are_strange():
    lines = [
        started("todo_list", items=[]),
        {"type": "item.updated", "item": {"id": "i", "type": "todo_list", "items": []}},
        completed("plan", text="1."),
        {"type": "item.plan.delta", "item_id": "i", "delta": "1"},
        started("reasoning", text=""),
        completed("from_the_future"),
        {"type": "request_user_input", "questions": []},
    ]
    found, parser = parse("codex", spool_of(json.dumps(x).encode() + b"\n" for x in lines))

    assert [data["name"] for _, data in found] == [
        "todo_list",
        "item.updated",
        "plan",
        "item.plan.delta",
        "reasoning",
        "from_the_future",
        "request_user_input",
    ]
    assert parser.unknown == 2


def test_a_reconnection_is_no_last_word():
    lines = b'{"type":"turn.started"}\n{"type":"error","message":"Reconnecting... 1/5"}\n'
    found, parser = parse("codex", spool_of([lines]))

    assert found[1] == ("error", {"message": "Reconnecting... 1/5", "source": "codex"})
    assert parser.account().word is None


def test_a_turn_speaks_with_its_own_last_message():
    lines = (
        b'{"type":"item.completed","item":{"id":"i","type":"agent_message","text":"old"}}\n'
        b'{"type":"turn.started"}\n{"type":"turn.completed"}\n'
    )
    found, parser = parse("codex", spool_of([lines]))

    assert parser.account().word == Word(True, "")
    assert [kind for kind, _ in found] == ["message", "custom"]


def api_error(message, **more):
    return json.dumps({"type": "error", "error": {"type": "x", "message": message}, **more})


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (api_error("no more credit"), "no more credit"),
        (api_error(api_error("no more credit")), "no more credit"),
        (api_error("") + "\n", api_error("") + "\n"),
        ('{"message": "of no error"}', '{"message": "of no error"}'),
        ("[1]", "[1]"),
        ("stream disconnected", "stream disconnected"),
    ],
)
def test_an_error_is_what_the_api_said_not_the_json_it_came_in(message, told):
    lines = [
        {"type": "error", "message": message},
        {"type": "turn.failed", "error": {"message": message}},
    ]
    found, parser = parse("codex", spool_of(json.dumps(x).encode() + b"\n" for x in lines))

    assert [data["message"] for _, data in found] == [told, told]
    assert parser.account().word == Word(False, told)


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({}, []),
        ({"output_tokens": 7}, [{"input_tokens": 0, "output_tokens": 7}]),
        ({"input_tokens": 0}, [{"input_tokens": 0, "output_tokens": 0}]),
    ],
)
def test_no_number_is_made_up_of_tokens_that_were_not_told(told, usage):
    found = events_of("codex", {"type": "turn.completed", "usage": told})

    assert found == [("usage", data) for data in usage]
