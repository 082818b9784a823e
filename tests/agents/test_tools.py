"""How a template and a client's arguments become a command."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.agents.tools import fill
from runcast.config_agents import ArgSettings, ToolSettings
from runcast.core.errors import BadRequest


def tool(*command: str, **args: ArgSettings) -> ToolSettings:
    return ToolSettings(command=list(command), args=args)


def command(template: ToolSettings, **given: str) -> list[str]:
    return fill("the-tool", template, given).command


REQUIRED = ArgSettings(required=True)
OPTIONAL = ArgSettings()
HOME = ArgSettings(default="home")


@pytest.mark.parametrize(
    ("word", "args", "given", "words"),
    [
        ("{a}", {"a": REQUIRED}, {"a": "x"}, ["x"]),
        ("{a}", {"a": REQUIRED}, {"a": ""}, [""]),
        ("{a}", {"a": REQUIRED}, {"a": "x y\nz"}, ["x y\nz"]),
        ("--to={a}", {"a": REQUIRED}, {"a": "x"}, ["--to=x"]),
        ("{a}-{b}-{a}", {"a": REQUIRED, "b": REQUIRED}, {"a": "1", "b": "2"}, ["1-2-1"]),
        ("{a}", {"a": OPTIONAL}, {}, []),
        ("{a}", {"a": OPTIONAL}, {"a": ""}, [""]),
        ("--to={a}", {"a": OPTIONAL}, {}, ["--to="]),
        ("{a}", {"a": HOME}, {}, ["home"]),
        ("{a}", {"a": HOME}, {"a": "away"}, ["away"]),
        ("{a}", {"a": HOME}, {"a": ""}, [""]),
        # What is not declared is no place.
        ("{b}", {}, {}, ["{b}"]),
        ("{a}{b}", {"a": REQUIRED}, {"a": "x"}, ["x{b}"]),
        ("{}", {}, {}, ["{}"]),
        ("{ a }", {"a": OPTIONAL}, {}, ["{ a }"]),
        ("${a}", {"a": REQUIRED}, {"a": "x"}, ["$x"]),
        ("{{a}}", {"a": REQUIRED}, {"a": "x"}, ["{x}"]),
        ('{"a": 1}', {"a": OPTIONAL}, {}, ['{"a": 1}']),
        ("{a}", {"a.b": OPTIONAL}, {}, ["{a}"]),
        ("{a.b}{axb}", {"a.b": REQUIRED}, {"a.b": "x"}, ["x{axb}"]),
        # What is put in is not looked at again.
        ("{a}{b}", {"a": REQUIRED, "b": REQUIRED}, {"a": "{b}", "b": "{a}"}, ["{b}{a}"]),
        ("{a}", {"a": REQUIRED}, {"a": r"\1 \g<0>"}, [r"\1 \g<0>"]),
    ],
)
def test_arguments_go_where_their_places_are(
    word: str, args: dict[str, ArgSettings], given: dict[str, str], words: list[str]
) -> None:
    template = tool("run", word, "end", **args)
    assert command(template, **given) == ["run", *words, "end"]


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_any_value_stays_one_word(value: str) -> None:
    assert command(tool("run", "{a}", "--x={a}", a=REQUIRED), a=value) == [
        *("run", value),
        f"--x={value}",
    ]


@pytest.mark.parametrize("value", ["; rm -rf .", "$(touch x)", "`touch x`", "a b", "*", "| cat"])
def test_a_value_means_nothing_to_the_system(value: str) -> None:
    words = command(tool("printf", "%s", "{a}", a=REQUIRED), a=value)
    said = subprocess.run(words, capture_output=True, check=True).stdout
    assert said.decode() == value


def test_the_rest_of_the_settings_goes_along() -> None:
    template = ToolSettings(command=["ls"], dialect="jsonl", env={"A": "b"}, timeout_s=5)
    launch = fill("the-tool", template, {})
    assert (launch.dialect, launch.env, launch.timeout_s) == ("jsonl", {"A": "b"}, 5)
    assert (launch.stdin, launch.unset) == (None, ())


@pytest.mark.parametrize(
    ("args", "given", "field", "message"),
    [
        ({"a": REQUIRED}, {}, "args.a", "is missing"),
        ({"a": REQUIRED}, {"a": "x", "b": "y"}, "args.b", "the-tool has no such argument; it has"),
        ({}, {"b": "y"}, "args.b", "it has none"),
        ({"a": ArgSettings(pattern="[a-z]+")}, {"a": "x1"}, "args.a", "must match [a-z]+"),
        ({"a": ArgSettings(pattern="[a-z]+")}, {"a": "x\n"}, "args.a", "must match"),
        ({"a": ArgSettings(pattern="a|ab")}, {"a": "abc"}, "args.a", "must match"),
        ({"a": REQUIRED}, {"a": "x\0"}, "args.a", "has a character"),
        ({"a": REQUIRED}, {"a": "\ud800"}, "args.a", "has a character"),
        ({"a": OPTIONAL}, {"b" * 10_000: ""}, "args." + "b" * 95, "has no such argument"),
    ],
)
def test_a_wrong_argument_is_named(
    args: dict[str, ArgSettings], given: dict[str, str], field: str, message: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        command(tool("run", "{a}", **args), **given)
    assert caught.value.details == {"field": field}
    assert caught.value.message.startswith(f"{field}: ")
    assert message in caught.value.message


def test_a_pattern_may_match_by_any_of_its_ways() -> None:
    template = tool("run", "{a}", a=ArgSettings(pattern="a|ab"))
    assert command(template, a="ab") == ["run", "ab"]
    assert command(template) == ["run"]
