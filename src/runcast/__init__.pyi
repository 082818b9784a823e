from runcast.executor import RunCancelled, StreamingExecutor, StreamingOptions

__all__ = ["RunCancelled", "StreamingExecutor", "StreamingOptions", "__version__"]
__version__: str
