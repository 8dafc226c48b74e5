"""The gateway's own small pages: models, health, metrics."""

from typing import TYPE_CHECKING, ClassVar

import msgspec

from tidegate.core.errors import MethodNotAllowed, PathNotFound
from tidegate.gateway.endpoint_pages import endpoint_page, is_endpoint_page
from tidegate.gateway.http import JSON, Request
from tidegate.gateway.models import is_models_path
from tidegate.gateway.operation import operation_of

if TYPE_CHECKING:
    from tidegate.gateway.listener import ClientConnection
    from tidegate.gateway.server import Server


class LocalReply:
    """A reply from memory; finished as soon as it starts."""

    PATHS: ClassVar = frozenset(("/healthz", "/readyz", "/metrics"))

    def __init__(self, server: "Server", client: "ClientConnection", request: Request) -> None:
        self._server, self._client, self._request = server, client, request

    def start(self) -> None:
        path, method = self._request.path, self._request.method
        if method == b"POST" and ":" in path and operation_of(path, b"") is None:
            raise PathNotFound(f"{path[:200]!r}: only Gemini's methods that generate and count are served.")
        if method not in (b"GET", b"HEAD"):
            allowed = "POST" if operation_of(path, b"") else "GET"
            raise MethodNotAllowed(f"{method.decode('latin-1')} is not served at {path}; use {allowed}.")
        if operation_of(path, b""):
            raise MethodNotAllowed(f"GET is not served at {path}; use POST.")
        status, content_type, body = self._content(path)
        self._client.reply(status, content_type, body, b"")

    def _content(self, path: str) -> tuple[int, bytes, bytes]:
        if is_models_path(path):
            status, body = self._server.listings.page(path, self._request.query, self._request.headers)
            return status, JSON, body
        if is_endpoint_page(path):
            return 200, JSON, endpoint_page(self._server, path)
        if path == "/healthz":
            return 200, JSON, b'{"status":"ok"}'
        if path == "/metrics":
            return 200, b"text/plain; version=0.0.4; charset=utf-8", self._server.metrics()
        return self._readiness()

    def _readiness(self) -> tuple[int, bytes, bytes]:
        server = self._server
        checks = {
            "journal": server.recorder.healthy,
            "accepting": not server.is_draining,
            "models": bool(server.table.models),
        }
        ready = all(checks.values())
        body = msgspec.json.encode({"status": "ready" if ready else "not ready", "checks": checks})
        return 200 if ready else 503, JSON, body

    # What the listener may tell an exchange; nothing of it can matter here.
    def on_client_gone(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
