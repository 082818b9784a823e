"""What a WebSocket client says: the upgrade, and short messages."""

import json

from bench.audience import Conversation

_KEY = "YSBydW5jYXN0IGNsaWVudA=="
_FIN_TEXT, _MASKED = 0x81, 0x80
_SHORT, _EXTENDED = 126, 126


def upgrade(path: str, where: tuple[str, int]) -> tuple[str, str]:
    """Return the request for a socket, and what ends the answer."""
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {where[0]}:{where[1]}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {_KEY}",
    )
    return "\r\n".join(lines) + "\r\n\r\n", "\r\n\r\n"


def text_frame(message: object) -> str:
    """Write a message as a client does; a mask of zeros leaves it as it is."""
    text = json.dumps(message).encode()
    size = len(text)
    head = bytes([size | _MASKED]) if size < _SHORT else bytes([_EXTENDED | _MASKED])
    more = b"" if size < _SHORT else size.to_bytes(2, "big")
    return (bytes([_FIN_TEXT]) + head + more + bytes(4) + text).decode("latin-1")


def socket_of(path: str, where: tuple[str, int], *said: tuple[object, str]) -> Conversation:
    """Return a conversation: the upgrade, then messages with what to wait for after each."""
    return [upgrade(path, where), *((text_frame(message), wanted) for message, wanted in said)]
