from runcast.client.aio import AsyncClient
from runcast.client.errors import ApiError, ClientError, Conflict, Gap, Gone, NoServer, NotFound
from runcast.client.outbox import AsyncOutbox, Outbox
from runcast.client.queue_file import OutboxDamaged, OutboxError, OutboxFull
from runcast.client.sync import Client
from runcast.client.workspaces import workspace_id

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncOutbox",
    "Client",
    "ClientError",
    "Conflict",
    "Gap",
    "Gone",
    "NoServer",
    "NotFound",
    "Outbox",
    "OutboxDamaged",
    "OutboxError",
    "OutboxFull",
    "workspace_id",
]
