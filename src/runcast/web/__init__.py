"""ASGI: one module per surface, one guard in front of all."""
