"""Spilling: short texts stay, long ones become blobs, and everything can be put back."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runcast.core.events import Draft, Lines
from runcast.core.limits import INLINE_BYTES, PREVIEW_BYTES
from runcast.runtime.spill import spill, unspill

LONG = "line of a long file\n" * 5_000


def spilled(data):
    (entry,), blobs = spill([Draft(1, "tool_call", data)])
    return entry.data, blobs


def test_what_fits_is_left_alone():
    entries = [
        Lines(1, "stdout", ["x" * 1_000]),
        Draft(2, "message", {"role": "assistant", "text": "é" * (INLINE_BYTES // 2)}),
    ]
    assert spill(entries) == (entries, {})


def test_a_long_text_keeps_its_beginning_and_names_its_blob():
    data, blobs = spilled({"role": "assistant", "text": LONG})

    reference = data["text_blob"]
    assert data["text"] == LONG[:PREVIEW_BYTES]
    assert reference == {"id": reference["id"], "size": len(LONG)}
    assert blobs == {reference["id"]: LONG.encode()}


def test_the_limit_counts_bytes_and_cuts_between_characters():
    data, _ = spilled({"text": "a" + "€" * (INLINE_BYTES // 3 + 1)})

    assert data["text_blob"]["size"] == 1 + 3 * (INLINE_BYTES // 3 + 1)
    assert data["text"] == "a" + "€" * ((PREVIEW_BYTES - 1) // 3)


def test_a_long_text_inside_an_object_leaves_its_neighbours_readable():
    data, blobs = spilled({"tool": "Write", "input": {"file_path": "a.txt", "content": LONG}})

    assert data["input"]["file_path"] == "a.txt"
    assert blobs[data["input"]["content_blob"]["id"]] == LONG.encode()


def test_many_short_texts_that_are_long_together_are_kept_as_json():
    edits = [{"old": "x" * 500, "new": "y" * 500} for _ in range(100)]
    data, blobs = spilled({"tool": "Edit", "input": {"edits": edits}})

    reference = data["input"]["edits_blob"]
    assert reference["json"] is True
    assert msgspec.json.decode(blobs[reference["id"]]) == edits


def test_the_same_text_is_the_same_blob():
    data, blobs = spilled({"text": LONG, "copy": LONG})
    assert data["text_blob"] == data["copy_blob"]
    assert len(blobs) == 1


TEXTS = {"": "", "short": "short", "wide": "é" * 40_000, "long": LONG}
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.sampled_from(list(TEXTS)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "a_blob", "content"]), inner, max_size=4)
    ),
    max_leaves=10,
)


def written_out(value):
    """Put the texts where their names are: drawn themselves, they would be too long to report."""
    if isinstance(value, dict):
        return {name: written_out(item) for name, item in value.items()}
    if isinstance(value, list):
        return [written_out(item) for item in value]
    return TEXTS[value] if isinstance(value, str) else value


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(["input", "text", "id", "size"]), values, max_size=4))
def test_what_was_spilled_can_be_put_back_as_it_was(drawn):
    data = written_out(drawn)
    kept, blobs = spilled(data)

    assert unspill(kept, blobs.__getitem__) == data
    assert all(len(msgspec.json.encode(field)) < 2 * INLINE_BYTES for field in kept.values())


def test_what_only_looks_like_a_blob_is_left_alone():
    """An agent prints what it likes, also the shape of a reference."""
    asked = {"a": "x", "a_blob": {"id": "zz", "size": 1}, "cut": [["a"]]}
    data, blobs = spilled({"tool": "Write", "input": asked})

    assert not blobs
    assert unspill(data, blobs.__getitem__) == {"tool": "Write", "input": asked}


def test_a_blob_that_is_gone_is_an_error_and_not_a_shorter_text():
    data, _ = spilled({"text": LONG})
    with pytest.raises(KeyError):
        unspill(data, {}.__getitem__)
