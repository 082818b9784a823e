"""A whole server inside a program, and its parts: what any thread may emit, keep and look at."""

from os import PathLike

from runcast.server.processes import ProcessStore
from runcast.server.server import Server

__all__ = ["ProcessStore", "Server", "create_server"]


def create_server(port: int, data_dir: str | PathLike[str] | None = None) -> Server:
    """Make a server on 127.0.0.1, to be started; port 0 takes any free one.

    Without a data folder everything is kept in a temporary one, which `stop` removes.
    """
    return Server(port, data_dir)
