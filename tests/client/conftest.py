"""What the tests of the client share."""

from collections.abc import Iterator

import pytest

from runcast.client import backoff


@pytest.fixture(scope="module")
def quick_retries() -> Iterator[None]:
    """Let clients come back as soon as a server asks them to, however soon that is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backoff, "LEAST_S", 0.0)
        yield
