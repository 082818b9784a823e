"""What an outbox does not keep, and what it makes of what a server refuses."""

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import httpx2
import pytest

from runcast.client.errors import BadRequest
from runcast.client.outbox import Outbox
from runcast.client.queue_file import OutboxError, OutboxFull
from runcast.client.sync import Client
from tests.client.arrived import told
from tests.support.server import Server

NAIVE = datetime(2026, 1, 2)
BROKEN = os.fsdecode(b"caf\xe9")  # as what is no UTF-8 looks in Python


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    return shared_server


def test_what_is_refused_is_set_aside_in_the_servers_words_and_the_rest_arrives(
    outbox: Outbox, client: httpx2.Client
) -> None:
    refused = outbox.submit("nobody", workspace_id="nowhere")
    outbox.emit_output(refused, "of nobody")
    fine = outbox.submit("somebody")
    outbox.update(fine, status="completed")
    outbox.emit_output(fine, "too late")
    outbox.update(fine, result="done")
    assert outbox.flush() == 3
    assert [(item.kind, item.process, item.state) for item in outbox.items()] == [
        ("submit", refused, "refused"),
        ("output", refused, "refused"),
        ("output", fine, "refused"),
    ]
    said = [item.said for item in outbox.items()]
    assert "there is no workspace 'nowhere'" in said[0]
    assert said[1].endswith("(not_found); the submit of its process, item 1, was set aside")
    assert said[2].endswith("(log_sealed)")
    assert client.get(f"/api/processes/{fine}").json()["process"]["result"] == "done"
    assert outbox.flush() == 0
    assert outbox.retry(1) == 2
    assert (outbox.flush(), [item.state for item in outbox.items()]) == (0, ["refused"] * 3)
    assert outbox.drop_alone(1) == 1
    assert outbox.drop(2, 5) == 2


def test_what_is_said_of_a_process_that_the_server_knows_arrives_whoever_submitted_it(
    outbox: Outbox, client: httpx2.Client
) -> None:
    for text in ("first\n", "second\n"):
        outbox.submit("Build it", id="build-1")
        outbox.emit_output("build-1", text)
    outbox.update("build-1", status="completed")
    assert outbox.flush() == 4
    [submit] = outbox.items()
    assert (submit.kind, submit.number) == ("submit", 3)
    assert submit.said.endswith("(id_taken)")
    assert told(client, "build-1") == ["running", "first\n", "second\n", "completed"]
    outbox.update("build-1", result="later")
    assert outbox.flush() == 1
    assert (outbox.drop(3), outbox.items()) == (1, [])


def test_a_full_outbox_says_so_and_keeps_what_it_has(caller: Client, tmp_path: Path) -> None:
    outbox = Outbox(caller, tmp_path / "outbox.db", max_items=1)
    outbox.submit("kept")
    with pytest.raises(OutboxFull, match="runcast outbox"):
        outbox.submit("one too many")
    assert outbox.flush() == 1


def test_what_is_more_than_a_server_takes_is_not_kept(outbox: Outbox) -> None:
    with pytest.raises(OutboxError, match="nothing was kept") as caught:
        outbox.emit_output("p", "x" * 2_000_000)
    assert caught.value.code == "body_too_large"
    with pytest.raises(TypeError):
        outbox.update("p", result=object())
    assert outbox.waiting() == 0


UNTAKEABLE: dict[str, Callable[[Outbox], object]] = {
    "submit: id must": lambda outbox: outbox.submit("x", id="a/b"),
    "submit: status must be one of": lambda outbox: outbox.submit("x", status="done"),
    "submit: start_time needs a time zone": lambda outbox: outbox.submit("x", start_time=NAIVE),
    "submit: end_time needs a time zone": lambda outbox: outbox.submit("x", end_time=NAIVE),
    "submit: workspace_id must": lambda outbox: outbox.submit("x", workspace_id=""),
    "submit: metadata has 70": lambda outbox: outbox.submit("x", metadata={"a": "x" * 70_000}),
    "update: status must": lambda outbox: outbox.update("p", status="done"),
    "update: metadata .* surrogates": lambda outbox: outbox.update("p", metadata={"a": BROKEN}),
    "'..': id must": lambda outbox: outbox.remove(".."),
    "'': id must": lambda outbox: outbox.emit_output("", "x"),
    "must be UTF-8 text": lambda outbox: outbox.emit_output("p", BROKEN),
    "message: body is empty": lambda outbox: outbox.post_message(""),
    "message: body has 70000 bytes": lambda outbox: outbox.post_message("x" * 70_000),
    "message: run_id must": lambda outbox: outbox.post_message("x", run_id="a b"),
}


@pytest.mark.parametrize(("said", "keep"), UNTAKEABLE.items(), ids=UNTAKEABLE.keys())
def test_what_no_server_takes_is_not_kept(
    outbox: Outbox, said: str, keep: Callable[[Outbox], object]
) -> None:
    with pytest.raises(BadRequest, match=said):
        keep(outbox)
    assert outbox.items() == []
