from runcast.client.aio import AsyncClient
from runcast.client.aio_events import EventStream
from runcast.client.errors import (
    ApiError,
    BadRequest,
    ClientError,
    Conflict,
    Forbidden,
    Gap,
    Gone,
    NoServer,
    NotFound,
    TooLarge,
    TooMany,
    Unavailable,
)
from runcast.client.outbox import AsyncOutbox, Outbox
from runcast.client.queue_file import NoOutbox, OutboxDamaged, OutboxError, OutboxFull
from runcast.client.queue_rows import Item
from runcast.client.sync import Client
from runcast.client.types import Run, StreamEvent
from runcast.client.workspaces import workspace_id

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncOutbox",
    "BadRequest",
    "Client",
    "ClientError",
    "Conflict",
    "EventStream",
    "Forbidden",
    "Gap",
    "Gone",
    "Item",
    "NoOutbox",
    "NoServer",
    "NotFound",
    "Outbox",
    "OutboxDamaged",
    "OutboxError",
    "OutboxFull",
    "Run",
    "StreamEvent",
    "TooLarge",
    "TooMany",
    "Unavailable",
    "workspace_id",
]
