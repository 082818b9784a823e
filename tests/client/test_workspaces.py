"""The workspace of a client: which it is, and what a server is told of it."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from runcast.client import BadRequest, workspace_id
from tests.client.both import Make, either
from tests.client.scripted import PROCESS, Request, ScriptedServer, answer, asked, run

RUN = run(id="a")
WORKSPACE = {"id": "w", "name": "w", "rootPath": "/w", "color": "red"}


def of_workspaces(request: Request) -> bytes:
    if request.method == "GET":
        return answer(200, {"workspaces": []})
    bodies = {
        "/api/workspaces": WORKSPACE,
        "/api/processes": PROCESS,
        "/api/v1/runs": {"run": RUN},
        "/api/v1/messages": {"msg_id": "m", "timestamp": "2026-11-21T08:57:30Z"},
        "/api/v1/envelopes": {"accepted": 1},
    }
    return answer(201, bodies[request.path])


@either
def test_a_workspace_is_registered_once_before_the_first_item(make: Make, tmp_path: Path) -> None:
    began = datetime(2026, 11, 21, 8, 57, 30, tzinfo=UTC)
    with ScriptedServer(of_workspaces) as server, make(server.url, workspace=tmp_path) as client:
        assert client.submit("Fix it", start_time=began, full_prompt="Fix it all").id == "p"
        client.submit("Another", start_time=began)
        look, registration, *items = server.requests
    id = workspace_id(tmp_path)
    assert asked(look) == ("GET", "/api/workspaces", None)
    place = {"id": id, "name": tmp_path.name, "rootPath": str(tmp_path)}
    assert asked(registration) == ("POST", "/api/workspaces", place)
    assert [item.headers["x-workspace-id"] for item in items] == [id, id]
    assert asked(items[0]) == (
        "POST",
        "/api/processes",
        {
            "promptPreview": "Fix it",
            "fullPrompt": "Fix it all",
            "status": "running",
            "startTime": "2026-11-21T08:57:30Z",
        },
    )


@either
def test_everything_that_is_made_says_its_workspace_where_it_is_looked_for(
    make: Make, tmp_path: Path
) -> None:
    id = workspace_id(tmp_path)
    with ScriptedServer(of_workspaces) as server, make(server.url, workspace=tmp_path) as client:
        client.start(command=["true"])
        client.start(command=["true"], workspace_id="mine")
        client.post_message("hello")
        client.post_envelopes({"type": "thought"})
        client.submit("x", workspace_id="mine")
        _, _, *items = server.requests
    bodies = [msgspec.json.decode(item.body) for item in items]
    assert [body.get("workspace_id") for body in bodies] == [id, "mine", None, None, None]
    assert bodies[2] == {"project_id": id, "body": "hello"}
    assert bodies[4]["workspaceId"] == "mine"
    headers = [item.headers.get("x-workspace-id") for item in items]
    assert headers == [None, None, None, id, None]


@either
def test_a_workspace_that_the_server_knows_keeps_its_name_and_color(
    make: Make, tmp_path: Path
) -> None:
    known = {"id": workspace_id(tmp_path), "name": "Mine", "rootPath": str(tmp_path)}

    def script(request: Request) -> bytes:
        listed = request.method == "GET"
        return answer(200, {"workspaces": [known]}) if listed else of_workspaces(request)

    with ScriptedServer(script) as server, make(server.url, workspace=tmp_path) as client:
        client.submit("x")
        methods = [(request.method, request.path) for request in server.requests]
    assert methods == [("GET", "/api/workspaces"), ("POST", "/api/processes")]


@either
def test_a_server_that_has_lost_the_workspace_is_told_of_it_again(
    make: Make, tmp_path: Path
) -> None:
    unknown = answer(400, {"error": "unknown_workspace: workspaceId: there is no workspace 'w'"})
    # The first item arrives; before the second the server has forgotten.
    lost = {3}

    def script(request: Request) -> bytes:
        return unknown if request.number in lost else of_workspaces(request)

    with ScriptedServer(script) as server, make(server.url, workspace=tmp_path) as client:
        client.submit("one")
        assert client.submit("two").id == "p"
        told = [(request.method, request.path) for request in server.requests]
        lost = set(range(99))
        with pytest.raises(BadRequest):
            client.submit("three", workspace_id="another")
    introduction = [("GET", "/api/workspaces"), ("POST", "/api/workspaces")]
    item = ("POST", "/api/processes")
    assert told == [*introduction, item, item, *introduction, item]


@either
def test_a_folder_whose_name_is_no_utf_8_is_told_as_far_as_it_can_be(
    make: Make, tmp_path: Path
) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    with ScriptedServer(of_workspaces) as server, make(server.url, workspace=folder) as client:
        client.submit("x")
        _, registration, _ = server.requests
    place = {"id": workspace_id(folder), "name": "caf\ufffd", "rootPath": f"{tmp_path}/caf\ufffd"}
    assert asked(registration) == ("POST", "/api/workspaces", place)


@either
def test_without_a_workspace_none_is_registered_or_said(make: Make) -> None:
    with ScriptedServer(of_workspaces) as server, make(server.url) as client:
        client.submit("x")
        client.start(command=["true"])
        assert len(server.requests) == 2
        assert "x-workspace-id" not in server.requests[0].headers
        assert msgspec.json.decode(server.requests[1].body) == {"command": ["true"]}


def test_the_same_folder_has_the_same_id_by_every_path(tmp_path: Path) -> None:
    (folder := tmp_path / "a").mkdir()
    (link := tmp_path / "b").symlink_to(folder)
    (other := tmp_path / "c").mkdir()
    assert workspace_id(folder) == workspace_id(link) == workspace_id(f"{folder}/../a")
    assert workspace_id(folder) != workspace_id(other)
    # On another day, in another process.
    program = f"from runcast.client import workspace_id; print(workspace_id({str(folder)!r}))"
    again = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)
    assert again.stdout.decode() == workspace_id(folder) + "\n"
