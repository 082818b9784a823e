"""The system's limit of one word of a command line is the one that is checked."""

import subprocess

import pytest

from runcast.agents.words import ARGUMENT_BYTES


def test_the_longest_word_is_carried_and_a_longer_one_is_not() -> None:
    assert subprocess.run(["true", "x" * ARGUMENT_BYTES], check=False).returncode == 0
    with pytest.raises(OSError, match="Argument list too long"):
        subprocess.run(["true", "x" * (ARGUMENT_BYTES + 1)], check=False)
