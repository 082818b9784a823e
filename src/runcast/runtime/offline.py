"""What can be done to a data folder while no server holds it."""

from runcast.config import Settings
from runcast.runtime.data_dir import DataDir
from runcast.runtime.retention import PruneLimits, prune


async def prune_folder(settings: Settings, limits: PruneLimits) -> int:
    """Remove the ended runs that are over a limit; return how many went.

    Raises ConfigError if a server holds the folder or it cannot be used.
    """
    data_dir = DataDir(settings)
    try:
        store = await data_dir.open_store(settings)
        try:
            return await prune(store, data_dir.runs, limits, lambda _, __: None)
        finally:
            await store.close()
    finally:
        data_dir.release()
