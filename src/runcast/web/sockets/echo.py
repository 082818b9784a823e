"""The WebSocket on `/__echo`, for conformance tests: the same stack, and no runcast behind it."""

from starlette.websockets import WebSocket


async def echo(socket: WebSocket) -> None:
    """Send back what comes."""
    await socket.accept()
    while (message := await socket.receive())["type"] == "websocket.receive":
        await socket.send({**message, "type": "websocket.send"})
