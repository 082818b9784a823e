"""Run any command, keep what it says in a durable ordered log, stream that log without loss."""

__version__ = "0.1.0"

# The types of these stand in __init__.pyi: an import here, even one for the type checker alone,
# would tie everything that asks for the version to the top layers.
_EXPORTS = {
    "BadRequest": "executor",
    "ExecutionResult": "executor",
    "ProcessStore": "server",
    "RunCancelled": "executor",
    "Server": "server",
    "StreamingExecutor": "executor",
    "StreamingOptions": "executor",
    "create_server": "server",
}
__all__ = list(_EXPORTS)
__all__ += ["__version__"]


def __getattr__(name: str) -> object:
    """Load what programs use when they first ask for it: every runner imports this package."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    """Name what programs use, loaded or not."""
    return sorted({*globals(), *__all__})
