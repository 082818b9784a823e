import time

import pytest

from runcast.core.errors import BadRequest
from runcast.core.ids import check_id, uuid7


def test_a_uuid7_carries_its_version_variant_and_the_time():
    before = time.time_ns() // 1_000_000
    made = uuid7()
    after = time.time_ns() // 1_000_000

    assert [len(part) for part in made.split("-")] == [8, 4, 4, 4, 12]
    assert made[14] == "7"
    assert made[19] in "89ab"
    assert before <= int(made.replace("-", "")[:12], 16) <= after


def test_uuids_are_distinct():
    assert len({uuid7() for _ in range(10_000)}) == 10_000


@pytest.mark.parametrize("text", ["a", "0", "A-b_c.d", "x" * 128, "run.1"])
def test_an_id_of_the_allowed_characters_passes(text):
    assert check_id(text) == text


@pytest.mark.parametrize(
    "text",
    ["", ".", "-a", "_a", "a..b", "a/b", "a b", "a\n", "é", "x" * 129, "../x", "a%2e", "a\0"],
)
def test_any_other_id_is_refused(text):
    with pytest.raises(BadRequest, match="must be 1 to 128 letters") as caught:
        check_id(text)

    assert caught.value.code == "bad_id"
