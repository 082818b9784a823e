"""What Claude Code prints beyond the recorded transcripts."""

import json

import pytest

from runcast.parsers import Word
from runcast.spool.records import blocks
from tests.parsers.transcripts import events_of, new_parser, parse, spool_of


def assistant(*blocks_, **more):
    return {"type": "assistant", "message": {"id": "m", "content": list(blocks_)}, **more}


def user(*blocks_, **more):
    return {"type": "user", "message": {"role": "user", "content": list(blocks_)}, **more}


def result_of(content, **more):
    return {"type": "tool_result", "tool_use_id": "t", "content": content, **more}


def stream(event, parent=None):
    return {"type": "stream_event", "event": event, "parent_tool_use_id": parent}


def delta(kind, **piece):
    return {"type": "content_block_delta", "index": 0, "delta": {"type": kind, **piece}}


def start(message_id):
    return {"type": "message_start", "message": {"id": message_id}}


def test_what_an_inner_agent_does_names_the_call_it_belongs_to():
    say, do = {"type": "text", "text": "hi"}, {"type": "tool_use", "id": "t", "name": "Read"}
    think = {"type": "thinking", "thinking": "hm"}
    found = events_of(
        "claude",
        assistant(say, think, do, parent_tool_use_id="task"),
        user(result_of("text"), parent_tool_use_id="task"),
        stream(start("m"), "task"),
        stream(delta("text_delta", text="h"), "task"),
    )

    assert [kind for kind, _ in found] == [
        "message",
        "thought",
        "tool_call",
        "tool_result",
        "delta",
    ]
    assert {data["parent_tool_call_id"] for _, data in found} == {"task"}


def test_deltas_of_agents_that_talk_at_once_belong_to_their_own_messages():
    call = {"type": "content_block_start", "content_block": {"type": "tool_use", "id": "t1"}}
    found = events_of(
        "claude",
        stream(start("outer")),
        stream(call),
        stream(start("inner"), "task"),
        stream(delta("input_json_delta", partial_json="{")),
        stream(delta("text_delta", text="x"), "task"),
    )

    assert [data["message_id"] for _, data in found] == ["outer", "inner"]
    assert [data.get("tool_call_id") for _, data in found] == ["t1", None]


def test_tools_that_ran_at_the_model_are_calls_and_results():
    ask = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}}
    refused = {"type": "web_search_tool_result_error", "error_code": "too_many_requests"}
    answer = {"type": "web_search_tool_result", "tool_use_id": "s", "content": refused}

    (_, asked), (_, answered) = events_of("claude", assistant(ask, answer))

    assert asked == {"tool_call_id": "s", "tool": "web_search", "input": {"query": "x"}}
    assert answered["ok"] is False
    assert "too_many_requests" in answered["content"]


def test_one_strange_block_leaves_its_neighbours_alone():
    strange = {"type": "hologram", "x": 1}
    found = events_of(
        "claude",
        assistant({"type": "text", "text": "a"}, strange, {"type": ["text"]}, {"type": "text"}),
        user(result_of("b"), {"type": "image", "source": {}}),
    )

    assert [data.get("name", kind) for kind, data in found] == [
        "message",
        "assistant.hologram",
        "assistant.object",
        "assistant.text",
        "tool_result",
        "user.image",
    ]


@pytest.mark.parametrize(
    ("structured", "changed"),
    [
        (
            {"type": "create", "filePath": "/a", "content": "größe"},
            {"path": "/a", "action": "created", "size": 7},
        ),
        (
            {"type": "update", "filePath": "/a", "content": "x", "structuredPatch": []},
            {"path": "/a", "action": "modified", "size": 1},
        ),
        ({"filePath": "/a", "structuredPatch": [{}]}, {"path": "/a", "action": "modified"}),
        ({"type": "text", "file": {"filePath": "/a", "content": "read"}}, None),
        ({"filePath": "/a"}, None),
        ({"type": 5, "filePath": "/a"}, None),
        ({"filePath": 5, "structuredPatch": []}, None),
        ("a plain text", None),
    ],
)
def test_a_changed_file_is_told_where_the_structured_answer_names_it(structured, changed):
    found = events_of("claude", user(result_of("done"), tool_use_result=structured))

    assert found[1:] == ([("file_changed", changed)] if changed else [])


def test_a_change_that_failed_is_none():
    failed = result_of("The user doesn't want to proceed", is_error=True)
    structured = {"type": "create", "filePath": "/a", "content": ""}

    ((kind, data),) = events_of("claude", user(failed, tool_use_result=structured))

    assert (kind, data["ok"]) == ("tool_result", False)


def test_an_answer_in_blocks_is_shown_as_text():
    content = [{"type": "text", "text": "one"}, {"type": "image", "x": 1}, None]
    ((_, data),) = events_of("claude", user(result_of(content)))

    assert data["content"] == 'one\n{"type":"image","x":1}\n'


@pytest.mark.parametrize(
    ("end", "word"),
    [
        ({"subtype": "success", "is_error": False, "result": "fine"}, Word(True, "fine")),
        ({"subtype": "success", "is_error": True, "result": "API"}, Word(False, "API")),
        (
            {"subtype": "error_during_execution", "is_error": True, "errors": ["a", "b"]},
            Word(False, "a; b"),
        ),
        ({"subtype": "error_max_turns"}, Word(False, "error_max_turns")),
    ],
)
def test_the_result_is_the_last_word(end, word):
    found, parser = parse("claude", spool_of([line({"type": "result", **end})]))

    assert parser.account().word == word
    assert [kind for kind, _ in found] == ["error"] * (not word.ok)


def test_a_cost_without_tokens_is_told():
    end = {"type": "result", "subtype": "success", "total_cost_usd": 0.5}

    assert events_of("claude", end) == [
        ("usage", {"input_tokens": 0, "output_tokens": 0, "cost_usd": 0.5})
    ]


def test_thinking_that_nobody_can_read_is_known():
    said = {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}]}
    found, parser = parse("claude", spool_of([line({"type": "assistant", "message": said})]))

    value = {"type": "redacted_thinking", "data": "x"}
    assert found == [("custom", {"name": "assistant.redacted_thinking", "value": value})]
    assert parser.unknown == 0


@pytest.mark.parametrize("call", [{}, {"tool_use_id": "t1"}])
def test_a_question_names_its_tool_call_if_it_has_one(call):
    asked = {"subtype": "can_use_tool", "tool_name": "Write", "input": {}, **call}
    ((_, data),) = events_of(
        "claude", {"type": "control_request", "request_id": "q", "request": asked}
    )

    assert data.get("tool_call_id") == call.get("tool_use_id")
    assert ("tool_call_id" in data) == bool(call)


def line(value):
    return json.dumps(value).encode() + b"\n"


def test_of_several_results_the_last_counts():
    parser = new_parser("claude")
    first = {"type": "result", "subtype": "success", "result": "one"}
    parser.feed(blocks(spool_of([line(first), line(first | {"result": "two"})])))

    assert parser.account().word == Word(True, "two")


def test_an_interruption_is_no_last_word():
    said = user({"type": "text", "text": "[Request interrupted by user]"})
    found, parser = parse("claude", spool_of([line(said)]))

    assert found == [("message", {"role": "user", "text": "[Request interrupted by user]"})]
    assert parser.account().word is None


def test_a_question_that_is_withdrawn_is_told_and_other_controls_are_kept():
    found = events_of(
        "claude",
        {"type": "control_cancel_request", "request_id": "r"},
        {"type": "control_request", "request_id": "r", "request": {"subtype": "hook_callback"}},
        {"type": "keep_alive"},
    )

    assert found[0] == ("approval", {"id": "r", "state": "withdrawn"})
    assert [data["name"] for _, data in found[1:]] == ["control_request"]


def test_kinds_that_are_known_do_not_count_as_strange_and_new_ones_do():
    known = [{"type": "system", "subtype": "hook_started"}, {"type": "rate_limit_event"}]
    new = [
        {"type": "system", "subtype": "from_the_future"},
        {"type": "from_the_future"},
        stream({"type": "from_the_future"}),
        stream(delta("from_the_future")),
        {"type": "assistant", "message": {}},
    ]

    found, parser = parse("claude", spool_of(map(line, [*known, *new])))

    assert {kind for kind, _ in found} == {"custom"}
    assert [data["name"] for _, data in found] == [
        "system.hook_started",
        "rate_limit_event",
        "system.from_the_future",
        "from_the_future",
        "stream_event.from_the_future",
        "stream_event.from_the_future",
        "assistant",
    ]
    assert parser.unknown == len(new)


def test_a_delta_before_any_start_has_no_message():
    ((_, data),) = events_of("claude", stream(delta("input_json_delta", partial_json="{")))

    assert data == {"kind": "tool_input", "message_id": "", "text": "{"}
