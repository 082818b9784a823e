"""The Python client: talks HTTP, imports no server and no store."""

# Their types stand in __init__.pyi.
_EXPORTS = {
    "ApiError": "errors",
    "AsyncClient": "aio",
    "AsyncOutbox": "outbox",
    "BadRequest": "errors",
    "Client": "sync",
    "ClientError": "errors",
    "Conflict": "errors",
    "EventStream": "aio_events",
    "Forbidden": "errors",
    "Gap": "errors",
    "Gone": "errors",
    "Item": "queue_rows",
    "NoOutbox": "queue_file",
    "NoServer": "errors",
    "NotFound": "errors",
    "Outbox": "outbox",
    "OutboxDamaged": "queue_file",
    "OutboxError": "queue_file",
    "OutboxFull": "queue_file",
    "Run": "types",
    "StreamEvent": "types",
    "TooLarge": "errors",
    "TooMany": "errors",
    "Unavailable": "errors",
    "workspace_id": "workspaces",
}
__all__ = list(_EXPORTS)


def __getattr__(name: str) -> object:
    """Load what programs use when they first ask for it: `runcast --help` asks for nothing."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    """Name what programs use, loaded or not."""
    return sorted({*globals(), *__all__})
