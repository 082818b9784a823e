from runcast.executor import (
    BadRequest,
    ExecutionResult,
    RunCancelled,
    StreamingExecutor,
    StreamingOptions,
)
from runcast.server import ProcessStore, Server, create_server

__all__ = [
    "BadRequest",
    "ExecutionResult",
    "ProcessStore",
    "RunCancelled",
    "Server",
    "StreamingExecutor",
    "StreamingOptions",
    "__version__",
    "create_server",
]
__version__: str
