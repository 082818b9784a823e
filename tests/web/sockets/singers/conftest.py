"""A server on which many sockets may follow one run."""

from pathlib import Path

import pytest

from runcast.config import Api, Settings, Sse, Ws


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    api = Api(sse=Sse(max_clients_per_run=100), ws=Ws(throttle_ms=5))
    return Settings(data_dir=str(data_dir), api=api)
