"""Speaks Claude Code's control protocol as its recorded session does, and waits for real answers.

Told by the prompt how to end: `hang` never exits, `vanish` exits with 0 before its result,
`stubborn` ignores an interrupt; anything else goes through the session. Arguments are ignored.
"""

import json
import os
import signal
import sys
import time

SESSION = os.path.join(
    os.path.dirname(os.path.abspath(__file__)),
    "../fixtures/transcripts/claude-2.1.329_stdio-permission.dialog",
)


def say(line):
    sys.stdout.write(line if isinstance(line, str) else json.dumps(line) + "\n")
    sys.stdout.flush()


def hear():
    line = sys.stdin.readline()
    return json.loads(line) if line else None


def interrupted(message):
    say({"type": "control_response", "response": {"request_id": message["request_id"]}})
    result = {"type": "result", "subtype": "error_during_execution", "is_error": True}
    say({**result, "errors": ["Request was aborted."], "usage": {"input_tokens": 1}})
    sys.exit(1)


def answer_to(request_id, prompt):
    while True:
        message = hear()
        if message is None:
            sys.exit(3)
        if message["type"] == "control_request" and prompt != "stubborn":
            interrupted(message)
        if message["type"] == "control_response":
            assert message["response"]["request_id"] == request_id, message
            return message["response"]["response"]


def session(prompt):
    with open(SESSION) as file:
        lines = file.readlines()
    for line in lines:
        if line.startswith(">>> "):
            continue
        message = json.loads(line)
        if message["type"] == "control_response":
            continue  # the recorded host's answer, echoed
        if message["type"] == "result" and prompt == "vanish":
            sys.exit(0)
        say(line)
        if message["type"] == "control_request":
            answer = answer_to(message["request_id"], prompt)
            say({"type": "system", "subtype": "informational", "heard": answer})
            if answer["behavior"] == "deny":
                refused(message["request"]["tool_use_id"], answer["message"])
                return


def refused(call_id, why):
    block = {"type": "tool_result", "tool_use_id": call_id, "content": why, "is_error": True}
    say({"type": "user", "message": {"role": "user", "content": [block]}})
    say({"type": "result", "subtype": "success", "is_error": False, "result": "I left it."})


def main():
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while (message := hear()) is not None:
        prompt = message["message"]["content"]
        session(prompt)
        while prompt == "hang":
            time.sleep(1000)


main()
