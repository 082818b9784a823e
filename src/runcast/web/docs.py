"""The page that shows the API's description: Swagger UI, allowed to load itself and no more."""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable

from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

_SWAGGER = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5/"
_INLINE = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def docs_page(openapi_url: str = "/openapi.json") -> Callable[[Request], Awaitable[Response]]:
    """Make the endpoint that serves the page."""
    page = bytes(
        get_swagger_ui_html(
            openapi_url=openapi_url,
            title="runcast API",
            swagger_js_url=_SWAGGER + "swagger-ui-bundle.js",
            swagger_css_url=_SWAGGER + "swagger-ui.css",
            swagger_favicon_url="data:,",
        ).body
    )
    headers = {"content-security-policy": _policy(page)}

    async def docs(_request: Request) -> Response:
        return HTMLResponse(page, headers=headers)

    return docs


def _policy(page: bytes) -> str:
    """Allow the page's own script by its hash; Swagger UI styles its elements inline."""
    digests = (hashlib.sha256(script).digest() for script in _INLINE.findall(page))
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_SWAGGER} {hashes}",
            f"style-src {_SWAGGER} 'unsafe-inline'",
            "img-src data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
