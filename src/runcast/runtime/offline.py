"""What can be done to a data folder while no server holds it."""

from runcast.config import Settings
from runcast.runtime.data_dir import DataDir
from runcast.runtime.retention import PruneLimits, prune
from runcast.stores import open_store


async def prune_folder(settings: Settings, limits: PruneLimits) -> int:
    """Remove the ended runs that are over a limit; return how many went.

    Raises ConfigError if a server holds the folder or it cannot be used.
    """
    data_dir = DataDir(settings)
    try:
        url = data_dir.store_url(settings)
        data_dir.bind(url)
        store = await open_store(url)
        try:
            return await prune(store, data_dir.runs, limits, lambda _, __: None)
        finally:
            await store.close()
    finally:
        data_dir.release()
