"""Workspaces: folders with a name, found again by their id."""

import hashlib
import os
from typing import Any

import httpx2
import pytest

from runcast.web.process_schemas import TextProblem, WorkspaceList, WorkspaceShown

WORKSPACES = "/api/workspaces"


async def put(api: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await api.post(WORKSPACES, json=body)
    assert answer.status_code == 201, answer.text
    WorkspaceShown.model_validate(answer.json())
    shown: dict[str, Any] = answer.json()
    return shown


async def test_a_workspace_is_added_and_listed_after_the_default(api: httpx2.AsyncClient) -> None:
    added = await put(api, id="a", name="Project A", rootPath="/srv/a", color="#123456")
    assert added == {"id": "a", "name": "Project A", "rootPath": "/srv/a", "color": "#123456"}

    answer = await api.get(WORKSPACES)
    WorkspaceList.model_validate(answer.json())
    default = {"id": "default", "name": "default", "rootPath": os.getcwd()}
    assert answer.json() == {"workspaces": [default, added]}


async def test_a_workspace_without_an_id_is_known_by_its_folder(api: httpx2.AsyncClient) -> None:
    added = await put(api, name="A", rootPath="/srv/a", whatever="else")
    real = os.path.realpath("/srv/a").encode()
    assert added == {
        "id": hashlib.sha256(real).hexdigest()[:16],
        "name": "A",
        "rootPath": "/srv/a",
    }
    assert (await put(api, name="B", rootPath="/srv/a"))["id"] == added["id"]


async def test_the_same_again_changes_name_and_color(api: httpx2.AsyncClient) -> None:
    await put(api, id="a", name="A", rootPath="/srv/a")
    changed = await put(api, id="a", name="B", rootPath="/srv/a", color="red")
    assert changed["name"] == "B"
    assert (await api.get(WORKSPACES)).json()["workspaces"][1:] == [changed]


async def test_an_id_keeps_its_folder_and_a_folder_may_have_two_ids(
    api: httpx2.AsyncClient,
) -> None:
    await put(api, id="a", name="A", rootPath="/srv/a")
    await put(api, id="b", name="B", rootPath="/srv/a")
    for taken in ("a", "default"):
        body = {"id": taken, "name": "A", "rootPath": "/srv/b"}
        answer = await api.post(WORKSPACES, json=body)
        assert answer.status_code == 409
        assert TextProblem.model_validate(answer.json()).error.startswith("workspace_taken: ")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "name: is missing; rootPath: is missing"),
        ({"name": "A"}, "rootPath: is missing"),
        ({"rootPath": "/srv/a"}, "name: is missing"),
        ({"name": "", "rootPath": "/srv/a"}, "name: "),
        ({"name": " ", "rootPath": "/srv/a"}, "name: "),
        ({"name": "A", "rootPath": ""}, "rootPath: "),
        ({"name": "A", "rootPath": "srv/a"}, "rootPath: "),
        ({"name": "A", "rootPath": "/srv/\0a"}, "rootPath: "),
        ({"name": 1, "rootPath": "/srv/a"}, "name: "),
        ({"name": "A", "rootPath": "/srv/a", "color": 7}, "color: "),
        ({"name": "A", "rootPath": "/srv/a", "id": "../a"}, "id must be"),
        ([], "the body must be a JSON object"),
    ],
)
async def test_what_is_no_workspace_is_refused(
    api: httpx2.AsyncClient, body: Any, said: str
) -> None:
    answer = await api.post(WORKSPACES, json=body)
    assert answer.status_code == 400
    code, _, text = TextProblem.model_validate(answer.json()).error.partition(": ")
    assert code in {"bad_request", "bad_id"}
    assert text.startswith(said)


async def test_a_repeated_request_gets_the_same_answer(api: httpx2.AsyncClient) -> None:
    body = {"name": "A", "rootPath": "/srv/a"}
    headers = {"Idempotency-Key": "k"}
    first = await api.post(WORKSPACES, json=body, headers=headers)
    again = await api.post(WORKSPACES, json=body, headers=headers)
    other = await api.post(WORKSPACES, json={**body, "name": "B"}, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert other.status_code == 409
    assert TextProblem.model_validate(other.json()).error.startswith("idempotency_conflict: ")


async def test_every_refusal_is_a_text(api: httpx2.AsyncClient) -> None:
    """The guard's and the framework's own, too."""
    for method, path, options, status in [
        ("DELETE", WORKSPACES, {}, 405),
        ("GET", f"{WORKSPACES}/a", {}, 404),
        ("POST", WORKSPACES, {"content": b"{", "headers": {"content-type": "text/plain"}}, 415),
        ("GET", WORKSPACES, {"headers": {"host": "evil.example"}}, 403),
    ]:
        answer = await api.request(method, path, **options)  # type: ignore[arg-type]
        assert answer.status_code == status
        TextProblem.model_validate(answer.json())
        assert int(answer.headers["content-length"]) == len(answer.content)
