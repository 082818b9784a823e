"""A page of another origin in a real browser starts nothing and reads nothing."""

from collections import defaultdict
from contextlib import closing
from typing import NamedTuple

import pytest

from tests.support.node import Script
from tests.support.runs import submit, wait_printed
from tests.support.server import Server, free_port

pytestmark = pytest.mark.needs("node", "playwright", "chromium")

SECRET = ["bash", "-c", "echo a secret; sleep 1000"]
FORMS = ["text form", "urlencoded form", "multipart form"]
# Browsers send no Origin with these; what comes back is hidden from the page.
BLIND = ["opaque read", "image", "script", "frame"]
OTHERS = ["opaque post", "json post", "read", "event source", "web socket"]

FORBIDDEN_ORIGIN, FORBIDDEN_HOST, NOT_JSON = (
    "403 forbidden_origin",
    "403 forbidden_host",
    "415 not_json",
)

BY_ORIGIN = dict.fromkeys([*FORMS, *OTHERS], FORBIDDEN_ORIGIN) | dict.fromkeys(BLIND, "200")
BY_HOST = dict.fromkeys([*FORMS, *OTHERS, *BLIND], FORBIDDEN_HOST)

# Foreign page -> what each of its attacks is answered.
PAGES = {
    "of another port": BY_ORIGIN,
    "of another site": BY_ORIGIN,
    "of no origin": BY_ORIGIN,
    "for any address": BY_HOST,
    "at any address": BY_HOST,
    "of a rebound name": BY_HOST,
}

Learned = dict[str, dict[str, str | None]]
Answers = dict[str, dict[str, set[str]]]


class Attacked(NamedTuple):
    """What pages learned by their attacks, what the server answered, and what it started."""

    learned: Learned
    answers: Answers
    commands: list[list[str]]
    marks: list[str]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Attacked:
    folder = tmp_path_factory.mktemp("attacked")
    markers = folder / "markers"
    markers.mkdir()
    tap_port, site_port = free_port(), free_port()
    settings = {
        "RUNCAST__AUTH__ALLOWED_HOSTS": f"['127.0.0.1:{tap_port}', 'localhost:{tap_port}']",
        "RUNCAST__AUTH__ALLOWED_ORIGINS": f"['http://localhost:{site_port}']",
    }
    with closing(Server(folder / "data", settings)) as server:
        server.start()
        with server.client() as client:
            submit(client, SECRET, id="secret")
            wait_printed(client, "secret", "a secret")
            ports = {"server_port": server.port, "tap_port": tap_port, "site_port": site_port}
            with Script("attack", folder, markers=str(markers), **ports) as script:
                seen = script.result()
            runs = client.get("/api/v1/runs").json()["runs"]
        return Attacked(
            seen["learned"],
            answers_of(seen["exchanges"]),
            [run["command"] for run in runs],
            [path.name for path in markers.iterdir()],
        )


def answers_of(exchanges: list[dict[str, str]]) -> Answers:
    answers: Answers = defaultdict(lambda: defaultdict(set))
    for exchange in exchanges:
        answers[exchange["page"]][exchange["attack"]].add(exchange["answer"])
    return answers


@pytest.mark.parametrize("page", PAGES)
def test_every_attack_reaches_the_server_and_is_refused(attacked: Attacked, page: str) -> None:
    expected = {attack: {answer} for attack, answer in PAGES[page].items()}
    assert attacked.answers[page] == expected


@pytest.mark.parametrize("page", PAGES)
def test_a_foreign_page_reads_nothing(attacked: Attacked, page: str) -> None:
    learned = attacked.learned[page]
    assert learned.keys() == PAGES[page].keys()
    assert "secret" not in str(learned.values())
    if PAGES[page] is BY_ORIGIN:
        assert set(learned.values()) == {None}


def test_only_json_is_taken_even_from_a_listed_origin(attacked: Attacked) -> None:
    answers = attacked.answers["of a listed origin"]
    assert [answers[attack] for attack in [*FORMS, "opaque post"]] == [{NOT_JSON}] * 4


def test_the_servers_own_page_can_do_what_foreign_pages_tried(attacked: Attacked) -> None:
    answers, learned = attacked.answers["of its own"], attacked.learned["of its own"]
    assert (answers["json post"], answers["read"]) == ({"201"}, {"200"})
    assert answers["event source"] == {"200"}
    assert "a secret" in str(learned["read"])
    assert "a secret" in str(learned["event source"])


def test_nothing_was_started_but_by_the_servers_own_page(attacked: Attacked) -> None:
    assert len(attacked.commands) == 2
    assert attacked.commands[1] == SECRET
    assert attacked.marks == ["json post of its own"]
