"""The Python client: talks HTTP, imports no server and no store."""
