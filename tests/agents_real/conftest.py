"""A server whose agent is a real CLI, kept from its user's own settings and from the network."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.model_api import ModelApi
from tests.support.needs import AGENTS
from tests.support.server import Server

CLAUDE = AGENTS / "node_modules" / ".bin" / "claude"
# What may be in the environment of whoever uses this agent, or is one.
OWN = ("ANTHROPIC_", "CLAUDE")
ENV = {
    "ANTHROPIC_API_KEY": "none",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "NO_PROXY": "127.0.0.1",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that knows where the agent is; who its model is, each run says."""
    settings = {
        "RUNCAST__AGENTS__CLAUDE__COMMAND": json.dumps([str(CLAUDE)]),
        "RUNCAST__AGENTS__CLAUDE__ENV": json.dumps(ENV),
    }
    server = Server(tmp_path_factory.mktemp("real") / "data", settings)
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith(OWN)]:
            environment.delenv(name)
        server.start()
    yield server
    server.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder that the agent works in."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def start(
    client: httpx2.Client, model: ModelApi, project: Path, tmp_path: Path
) -> Callable[[str], str]:
    """Give the agent a prompt; return the id of the run."""
    env = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "ANTHROPIC_BASE_URL": model.url}

    def submit(prompt: str) -> str:
        request = {"agent": "claude", "prompt": prompt, "cwd": str(project), "env": env}
        answer = client.post("/api/v1/runs", json=request)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["run"]["id"])

    return submit
