"""Settings: where they come from, which wins, and what is said about a wrong one."""

from pathlib import Path
from typing import Any

import pytest

from runcast.config import Settings, describe
from runcast.config_load import load
from runcast.core.errors import ConfigError


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def value_at(settings: Settings, dotted: str) -> Any:
    value: Any = settings
    for name in dotted.split("."):
        value = getattr(value, name)
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
        ("api: {sse: {poll_interval_ms: fast}}", "api.sse.poll_interval_ms: expected float"),
        ("api: {sse: {poll_interval_ms: 0}}", "api.sse.poll_interval_ms: expected float > 0"),
        ("api: {sse: {poll_interval_ms: .inf}}", "api.sse.poll_interval_ms: expected float <="),
        ("api: {sse: {poll_interval_ms: .nan}}", "api.sse.poll_interval_ms: expected float"),
        ("api: {sse: {poll_intervall_ms: 1}}", "did you mean api.sse.poll_interval_ms?"),
        ("streaming: {port: 65536}", "streaming.port: expected int <= 65535"),
        ("streaming: {port: -1}", "streaming.port: expected int >= 0"),
        ("streaming: {port: '80'}", "streaming.port: expected int, got str"),
        ("streaming: {host: 0.0.0.0}", LOOPBACK),
        ("streaming: {host: 192.168.1.7}", LOOPBACK),
        ("streaming: {host: '::'}", LOOPBACK),
        ("streaming: {host: localhost.evil.example}", LOOPBACK),
        ("queue: {max_concurrent_runs: 0}", "queue.max_concurrent_runs: expected int >= 1"),
        ("queue: {max_concurrent_runs: 1.5}", "queue.max_concurrent_runs: expected int"),
        ("retention: {max_age: soon}", "max_age is not a duration"),
        ("runs: {grace_s: -1}", "runs.grace_s: expected float >= 0"),
        ("store: {durability: extreme}", "store.durability: invalid enum value 'extreme'"),
        ("straeming: {port: 1}", "straeming: unknown setting; did you mean streaming?"),
        ("zebra: 1", "zebra: unknown setting"),
        ("queue:", "queue: expected object, got null"),
        ("1: 2", "key in the settings: expected str"),
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
            "RUNCAST__STREAMING__PORT: streaming.port: expected int, got str",
        ),
        (
            {"RUNCAST__STREAMING__PROT": "1"},
            {},
            "RUNCAST__STREAMING__PROT: streaming.prot: unknown setting; did you mean",
        ),
        ({"RUNCAST__STREAMING": "x"}, {}, "RUNCAST__STREAMING: streaming: expected object"),
        ({"RUNCAST__": "x"}, {}, "RUNCAST__: '': unknown setting"),
        ({}, {"streaming.port": 70_000}, "command line: streaming.port: expected int <= 65535"),
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
    for setting in described:
        assert setting.doc.endswith(".")
        assert setting.default
        value_at(Settings(), setting.name)


def test_descriptions_show_types_and_defaults_as_a_file_writes_them() -> None:
    shown = {setting.name: (setting.type, setting.default) for setting in describe()}
    assert shown["streaming.port"] == ("int", "7890")
    assert shown["store.durability"] == ("safe | fast", '"safe"')
    assert shown["auth.allowed_hosts"] == ("list of str", "[]")
    assert shown["retention.max_count"] == ("int | null", "null")
    assert shown["queue.max_concurrent_runs"] == ("int", "twice the number of cores")
