"""Run any command, keep what it says in a durable ordered log, stream that log without loss."""

__version__ = "0.1.0"
