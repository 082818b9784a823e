"""The memory engine: the model that the others are compared with; nothing outlives it."""

from runcast.core.errors import ConfigError
from runcast.stores.memory.store import MemoryStore


async def open_store(location: str) -> MemoryStore:
    """Open an empty store; it has no location."""
    if location:
        raise ConfigError(f"the memory store has no location; write 'memory:', not {location!r}")
    return MemoryStore()
