"""Settings: where they come from, which wins, and what is said about a wrong one."""

from pathlib import Path
from typing import Any, get_args

import pytest

from runcast.agents import DRIVERS
from runcast.config import Settings, describe
from runcast.config_agents import (
    PERMISSION_MODES,
    AgentSettings,
    ArgSettings,
    DialectName,
    DriverName,
    ToolSettings,
    faults,
)
from runcast.config_load import load
from runcast.config_watch import WatchSettings
from runcast.core.errors import ConfigError
from runcast.parsers import PARSERS


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def value_at(settings: Settings, dotted: str) -> Any:
    value: Any = settings
    for name in dotted.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value


def test_without_any_source_the_defaults_hold() -> None:
    assert load(None, {}, {}) == Settings()


FILE = "streaming: {port: 1}"
VARIABLE = {"RUNCAST__STREAMING__PORT": "2"}
FLAG = {"streaming.port": 3}


@pytest.mark.parametrize(
    ("file", "environ", "flags", "port"),
    [
        ("", {}, {}, 7890),
        (FILE, {}, {}, 1),
        ("", VARIABLE, {}, 2),
        ("", {}, FLAG, 3),
        (FILE, VARIABLE, {}, 2),
        (FILE, {}, FLAG, 3),
        (FILE, VARIABLE, FLAG, 3),
        (FILE, VARIABLE, {"streaming.port": None}, 2),
    ],
)
def test_the_source_nearest_to_the_command_line_wins(
    file: str, environ: dict[str, str], flags: dict[str, Any], port: int
) -> None:
    Path("runcast.yaml").write_text(file)
    assert load(None, environ, flags).streaming.port == port


def test_sources_that_set_neighbours_do_not_disturb_each_other() -> None:
    Path("runcast.yaml").write_text("api: {sse: {poll_interval_ms: 5, max_clients_per_run: 6}}")
    settings = load(None, {"RUNCAST__API__SSE__POLL_INTERVAL_MS": "7"}, {"data_dir": "/d"})
    assert settings.api.sse.poll_interval_ms == 7
    assert settings.api.sse.max_clients_per_run == 6
    assert settings.data_dir == "/d"


def test_the_named_file_replaces_the_one_in_the_current_folder(tmp_path: Path) -> None:
    Path("runcast.yaml").write_text("streaming: {port: 1}")
    other = tmp_path / "other.yaml"
    other.write_text("queue: {max_concurrent_runs: 9}")
    settings = load(other, {}, {})
    assert settings.streaming.port == 7890
    assert settings.queue.max_concurrent_runs == 9


def test_variables_of_a_run_are_not_settings() -> None:
    environ = {"RUNCAST_RUN_ID": "x", "RUNCAST_SERVER": "http://h", "RUNCAST_STREAMING_PORT": "1"}
    assert load(None, environ, {}) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "dotted", "value"),
    [
        ("RUNCAST__API__SSE__POLL_INTERVAL_MS", "50", "api.sse.poll_interval_ms", 50),
        ("RUNCAST__API__SSE__POLL_INTERVAL_MS", "0.5", "api.sse.poll_interval_ms", 0.5),
        ("RUNCAST__AUTH__ENABLED", "false", "auth.enabled", False),
        ("RUNCAST__AUTH__ENABLED", "no", "auth.enabled", False),
        (
            "RUNCAST__AUTH__ALLOWED_HOSTS",
            "[a.example, b]",
            "auth.allowed_hosts",
            ["a.example", "b"],
        ),
        ("RUNCAST__RETENTION__MAX_COUNT", "null", "retention.max_count", None),
        ("RUNCAST__RETENTION__MAX_AGE", "7d", "retention.max_age", "7d"),
        ("RUNCAST__RETENTION__MAX_AGE", "3600", "retention.max_age", 3600),
        ("RUNCAST__STORE__URL", "memory:", "store.url", "memory:"),
        ("RUNCAST__STORE__URL", "sqlite:/tmp/a b.db", "store.url", "sqlite:/tmp/a b.db"),
        ("RUNCAST__DATA_DIR", "2026", "data_dir", "2026"),
        ("RUNCAST__DATA_DIR", "[unbalanced", "data_dir", "[unbalanced"),
        ("RUNCAST__STREAMING__HOST", "::1", "streaming.host", "::1"),
        ("RUNCAST__STREAMING__HOST", "127.8.9.1", "streaming.host", "127.8.9.1"),
        ("RUNCAST__STREAMING__HOST", "localhost", "streaming.host", "localhost"),
    ],
)
def test_a_variable_is_read_as_its_setting_needs(
    name: str, text: str, dotted: str, value: object
) -> None:
    assert value_at(load(None, {name: text}, {}), dotted) == value


LOOPBACK = "only loopback addresses until authentication exists"


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("api: {sse: {poll_interval_ms: fast}}", "api.sse.poll_interval_ms: expected number"),
        ("api: {sse: {poll_interval_ms: 0}}", "api.sse.poll_interval_ms: expected number > 0"),
        ("api: {sse: {poll_interval_ms: .inf}}", "api.sse.poll_interval_ms: expected number <="),
        ("api: {sse: {poll_interval_ms: .nan}}", "api.sse.poll_interval_ms: expected number"),
        ("api: {sse: {poll_intervall_ms: 1}}", "did you mean api.sse.poll_interval_ms?"),
        ("streaming: {port: 65536}", "streaming.port: expected whole number <= 65535"),
        ("streaming: {port: -1}", "streaming.port: expected whole number >= 0"),
        ("streaming: {port: '80'}", "streaming.port: expected whole number, got text"),
        ("streaming: {host: 0.0.0.0}", LOOPBACK),
        ("streaming: {host: 192.168.1.7}", LOOPBACK),
        ("streaming: {host: '::'}", LOOPBACK),
        ("streaming: {host: localhost.evil.example}", LOOPBACK),
        (
            "queue: {max_concurrent_runs: 0}",
            "queue.max_concurrent_runs: expected whole number >= 1",
        ),
        ("queue: {max_concurrent_runs: 1.5}", "queue.max_concurrent_runs: expected whole number"),
        ("retention: {max_age: soon}", "max_age is not a duration"),
        ("runs: {grace_s: -1}", "runs.grace_s: expected number >= 0"),
        (
            "store: {durability: extreme}",
            "store.durability: invalid enum value 'extreme'; one of safe, fast",
        ),
        ("straeming: {port: 1}", "straeming: unknown setting; did you mean streaming?"),
        ("zebra: 1", "zebra: unknown setting"),
        ("queue:", "queue: expected mapping, got null"),
        ("1: 2", "key in the settings: expected text"),
        ("- a\n- b", "runcast.yaml: expected names with values"),
        ("just text", "runcast.yaml: expected names with values"),
        ("a: [", "not YAML"),
        ("a: b: c", "not YAML"),
    ],
)
def test_a_wrong_file_is_named_in_one_line(file: str, problem: str) -> None:
    Path("runcast.yaml").write_text(file)
    with pytest.raises(ConfigError) as caught:
        load(None, {}, {})
    assert caught.value.message.startswith("runcast.yaml: ")
    assert problem in caught.value.message
    assert "$" not in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("environ", "flags", "problem"),
    [
        (
            {"RUNCAST__STREAMING__PORT": "http"},
            {},
            "RUNCAST__STREAMING__PORT: streaming.port: expected whole number, got text",
        ),
        (
            {"RUNCAST__STREAMING__PROT": "1"},
            {},
            "RUNCAST__STREAMING__PROT: streaming.prot: unknown setting; did you mean",
        ),
        ({"RUNCAST__STREAMING": "x"}, {}, "RUNCAST__STREAMING: streaming: expected mapping"),
        ({"RUNCAST__": "x"}, {}, "RUNCAST__: '': unknown setting"),
        (
            {},
            {"streaming.port": 70_000},
            "command line: streaming.port: expected whole number <= 65535",
        ),
        ({}, {"streaming.host": "0.0.0.0"}, "command line: streaming: host '0.0.0.0': only"),
    ],
)
def test_a_wrong_variable_or_flag_is_named_in_one_line(
    environ: dict[str, str], flags: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, environ, flags)
    assert caught.value.message.startswith(problem)


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: No such file"):
        load(tmp_path / "absent.yaml", {}, {})


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    Path("runcast.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not YAML"):
        load(None, {}, {})


def test_every_setting_is_described_and_none_is_described_twice() -> None:
    described = list(describe())
    assert len({setting.name for setting in described}) == len(described)
    tool = ToolSettings(args={"ARG": ArgSettings()})
    settings = Settings(
        agents={"NAME": AgentSettings()}, tools={"NAME": tool}, watch={"NAME": WatchSettings()}
    )
    for setting in described:
        assert setting.doc.endswith(".")
        assert setting.default
        value_at(settings, setting.name)


def test_descriptions_show_types_and_defaults_as_a_file_writes_them() -> None:
    shown = {setting.name: (setting.type, setting.default) for setting in describe()}
    assert shown["streaming.port"] == ("int", "7890")
    assert shown["store.durability"] == ("safe | fast", '"safe"')
    assert shown["auth.allowed_hosts"] == ("list of str", "[]")
    assert shown["retention.max_count"] == ("int | null", "null")
    assert shown["queue.max_concurrent_runs"] == ("int", "twice the number of cores")
    assert shown["agents.NAME.extra_args"] == ("list of str", "[]")
    assert shown["agents.NAME.env"] == ("str by name", "{}")
    assert shown["tools.NAME.args.ARG.required"] == ("bool", "false")


def test_the_settings_name_the_drivers_and_dialects_that_there_are() -> None:
    assert set(get_args(DriverName)) == set(DRIVERS) == set(PERMISSION_MODES)
    assert set(get_args(DialectName)) == set(PARSERS)


REVIEWER = "agents: {reviewer: {driver: codex, model: m, env: {A: a, B: b}}}"
DEPLOY = "tools: {deploy: {command: [deploy, '{to}'], args: {to: {required: true}}}}"


def test_sources_that_speak_of_one_agent_complete_each_other() -> None:
    Path("runcast.yaml").write_text(REVIEWER)
    environ = {
        "RUNCAST__AGENTS__REVIEWER__MODEL": "other",
        "RUNCAST__AGENTS__REVIEWER__ENV__B": "2",
        "RUNCAST__AGENTS__REVIEWER__ENV__MIXED__Case": "kept",
        "RUNCAST__AGENTS__GEMINI__PERMISSION_MODE": "yolo",
    }
    assert load(None, environ, {}).agents == {
        "reviewer": AgentSettings(
            driver="codex", model="other", env={"A": "a", "B": "2", "MIXED__Case": "kept"}
        ),
        "gemini": AgentSettings(permission_mode="yolo"),
    }


def test_sources_that_speak_of_one_tool_complete_each_other() -> None:
    Path("runcast.yaml").write_text(DEPLOY)
    environ = {
        "RUNCAST__TOOLS__DEPLOY__ARGS__TO__PATTERN": "[a-z]+",
        "RUNCAST__TOOLS__DEPLOY__TIMEOUT_S": "60",
        "RUNCAST__TOOLS__LIST__COMMAND": "[ls, -l]",
    }
    assert load(None, environ, {}).tools == {
        "deploy": ToolSettings(
            command=["deploy", "{to}"],
            args={"to": ArgSettings(required=True, pattern="[a-z]+")},
            timeout_s=60,
        ),
        "list": ToolSettings(command=["ls", "-l"]),
    }


def test_settings_of_one_load_are_not_shared_with_the_next() -> None:
    Path("runcast.yaml").write_text(REVIEWER)
    load(None, {}, {}).agents.clear()
    assert list(load(None, {}, {}).agents) == ["reviewer"]
    assert Settings().agents == {}


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        (
            "agents: {fine: {driver: codex}, reviewer: {driver: codex, modle: x}}",
            "agents.reviewer.modle: unknown setting; did you mean agents.reviewer.model?",
        ),
        ("agents: {reviewer: {driver: codex, zebra: x}}", "agents.reviewer.zebra: unknown setting"),
        (
            "agents: {reviewer: {driver: cdex}}",
            "agents.reviewer.driver: invalid enum value 'cdex'; one of claude, claude-subs",
        ),
        ("agents: {reviewer: {model: x}}", "agents.reviewer.driver: is missing; one of claude, "),
        ("agents: {claude: null}", "agents.claude: expected mapping, got null"),
        ("agents: [claude]", "agents: expected mapping, got list"),
        ("agents: {'a b': {driver: codex}}", "key in agents: expected text matching"),
        ("agents: {codex: {env: {A: 1}}}", "agents.codex.env.A: expected text, got whole number"),
        ("agents: {codex: {env: {A=B: x}}}", "key in agents.codex.env: expected text matching"),
        ("agents: {codex: {extra_args: [a, 1]}}", "agents.codex.extra_args[1]: expected text"),
        ('agents: {codex: {extra_args: ["\\0"]}}', "agents.codex.extra_args[0]: expected text"),
        ("agents: {codex: {command: ['']}}", "agents.codex.command: the first word must not be"),
        (
            "agents: {codex: {permission_mode: yolo}}",
            "agents.codex.permission_mode: codex knows no 'yolo'; one of read-only, ",
        ),
        (
            "agents: {me: {driver: opencode, permission_mode: plan}}",
            "agents.me.permission_mode: opencode knows no 'plan'; one of auto",
        ),
        ("tools: {t: {}}", "tools.t.command: must be a list of at least one word"),
        ("tools: {t: {command: ['']}}", "tools.t.command: must be a list of at least one word"),
        ("tools: {t: {command: ls}}", "tools.t.command: expected list, got text"),
        (
            "tools: {t: {command: [ls], dialect: json}}",
            "tools.t.dialect: invalid enum value 'json'; one of lines, claude, codex,",
        ),
        ("tools: {t: {command: [ls], timeout_s: 0}}", "tools.t.timeout_s: expected number > 0"),
        (
            "tools: {t: {command: ['{what}'], args: {what: {}}}}",
            "tools.t.command: {what} cannot be in the first word",
        ),
        (
            "tools: {t: {command: [ls, 'way'], args: {what: {}}}}",
            "tools.t.args.what: {what} is in no word of the command",
        ),
        (
            "tools: {t: {command: [ls, '{x}', '{y}'], args: {x: {}}}}",
            "tools.t.command: {y} is the place of an argument that args has not; it has x",
        ),
        (
            "tools: {t: {command: [sh, -c, 'echo {x}'], args: {x: {}}}}",
            "tools.t.command: {x} is in the script of a shell, which would take a value for comma",
        ),
        (
            "tools: {t: {command: [ls, '{x}'], args: {x: {requird: true}}}}",
            "tools.t.args.x.requird: unknown setting; did you mean tools.t.args.x.required?",
        ),
        (
            "tools: {t: {command: [ls, '{x}'], args: {x: {required: true, default: a}}}}",
            "tools.t.args.x.required: an argument with a default is never missing",
        ),
        (
            "tools: {t: {command: [ls, '{x}'], args: {x: {pattern: '('}}}}",
            "tools.t.args.x.pattern: not a regular expression: missing )",
        ),
        (
            "tools: {t: {command: [ls, '{x}'], args: {x: {pattern: '[a-z]', default: ab}}}}",
            "tools.t.args.x.default: 'ab' does not match the pattern '[a-z]'",
        ),
    ],
)
def test_a_wrong_agent_or_tool_is_named(file: str, problem: str) -> None:
    Path("runcast.yaml").write_text(file)
    with pytest.raises(ConfigError) as caught:
        load(None, {}, {})
    assert caught.value.message.startswith(f"runcast.yaml: {problem}")


@pytest.mark.parametrize(
    ("command", "refused"),
    [
        (["sh", "-c", "echo {x}"], True),
        (["/bin/bash", "-euo", "pipefail", "-c", "echo {x}"], True),
        (["bash", "--norc", "-euco", "pipefail", "echo {x}"], True),
        (["sh", "-c", 'echo "$1"', "sh", "{x}"], False),
        (["bash", "--norc", "./script", "-c", "{x}"], False),
        (["bash", "-l"], False),
        (["awk", "-c", "say {x}"], False),
    ],
)
def test_a_value_cannot_become_a_part_of_a_script(command: list[str], refused: bool) -> None:
    tool = ToolSettings(command=[*command, "{x}"], args={"x": ArgSettings()})
    found = list(faults({}, {"t": tool}))
    assert [fault.field for fault in found] == ["command"] * refused
    safe = 'write "$1" there, and after the script the words sh, "{x}"'
    assert all(fault.text.endswith(safe) for fault in found)


def test_all_sources_of_an_agent_that_makes_no_sense_are_named() -> None:
    Path("runcast.yaml").write_text(REVIEWER)
    environ = {
        "RUNCAST__AGENTS__REVIEWER__PERMISSION_MODE": "yolo",
        "RUNCAST__AGENTS__GEMINI__PERMISSION_MODE": "yolo",
    }
    with pytest.raises(ConfigError) as caught:
        load(None, environ, {})
    expected = "runcast.yaml, RUNCAST__AGENTS__REVIEWER__PERMISSION_MODE: agents.reviewer."
    assert caught.value.message.startswith(expected)


def test_a_wrong_variable_of_an_agent_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, {"RUNCAST__AGENTS__CODEX__MODLE": "x"}, {})
    assert caught.value.message.startswith(
        "RUNCAST__AGENTS__CODEX__MODLE: agents.codex.modle: unknown setting; did you mean"
    )
