"""HTTP as the server reads it from the socket, with what the guard has to see left in."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class GuardedProtocol(HttpToolsProtocol):
    """Refuse targets that name a host of their own, which uvicorn would cut down to the path."""

    def on_headers_complete(self) -> None:
        """Pass the host of an absolute-form target on as one more `Host`: the guard takes one."""
        if not self.url.startswith(b"/"):
            self.headers.append((b"host", self.url))
            self.url = b"/"
        super().on_headers_complete()
