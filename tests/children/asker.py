"""Asks leave as Claude Code does, once per id it is given, and says what it was answered.

usage: asker.py ID...
"""

import json
import sys
from typing import Any


def say(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


def ask(approval_id: str) -> None:
    request = {
        "subtype": "can_use_tool",
        "tool_name": "Write",
        "input": {"file_path": "new.txt"},
        "tool_use_id": f"toolu_{approval_id}",
    }
    say(type="control_request", request_id=approval_id, request=request)


def repeat(number: int, line: str) -> None:
    content = [{"type": "text", "text": json.dumps(json.loads(line)["response"])}]
    message = {"id": f"msg_{number}", "role": "assistant", "content": content}
    say(type="assistant", message=message, parent_tool_use_id=None)


if __name__ == "__main__":
    ids = sys.argv[1:]
    for each in ids:
        ask(each)
    for number, _ in enumerate(ids):
        repeat(number, sys.stdin.readline())
    say(type="result", subtype="success", is_error=False, result="done")
