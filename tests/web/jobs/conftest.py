"""Tools of every kind, to be started as jobs."""

from pathlib import Path

import pytest

from runcast.config import Jobs, Queue, Settings
from runcast.config_agents import ArgSettings, ToolSettings

TOOLS = {
    "where": ToolSettings(command=["pwd"]),
    "greet": ToolSettings(
        command=["echo", "{greeting}", "{name}"],
        args={"name": ArgSettings(required=True, pattern="[a-z0-9.]+"), "greeting": ArgSettings()},
    ),
    "fail": ToolSettings(command=["sh", "-c", "echo out; echo err >&2; exit 3"]),
    "kill": ToolSettings(command=["sh", "-c", "kill -9 $$"]),
    "absent": ToolSettings(command=["/no/such/program"]),
    "sleep": ToolSettings(command=["sleep", "60"]),
    "short": ToolSettings(command=["sleep", "60"], timeout_s=0.2),
    "count": ToolSettings(command=["seq", "1", "{to}"], args={"to": ArgSettings(required=True)}),
}


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    return Settings(
        data_dir=str(data_dir),
        tools=TOOLS,
        queue=Queue(max_concurrent_runs=2),
        jobs=Jobs(wait_s=0.3, heartbeat_interval_s=0.1),
    )
