"""What can go wrong between a client and its server."""


class ClientError(Exception):
    """The root: a stable `code` and a message that says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ApiError(ClientError):
    """The server refused; `status` is the HTTP status, `code` and `message` are its own."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(code, message)
        self.status = status

    @property
    def retryable(self) -> bool:
        """Whether the fault is the server's, so that asking again later may help."""
        return self.status >= 500


class NoServer(ClientError):
    """Nothing answers at the address, or it stopped answering."""

    def __init__(self, message: str) -> None:
        super().__init__("no_server", message)
