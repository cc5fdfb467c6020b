"""A web server on the loopback interface whose answers are scripted: busy, redirecting, broken off, or right."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

__all__ = ["LoopbackWeb", "Reply"]


def _no_headers() -> dict[str, str]:
    return {}


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes:
        body: The content.
        status: The HTTP status.
        headers: More headers, or others.
        cut: Bytes after which the connection is closed, whatever ``Content-Length`` promises.
        chunked: Send without a length, in chunks.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=_no_headers)
    cut: int | None = None
    chunked: bool = False


class LoopbackWeb:
    """A server in a thread, for the length of a ``with`` block.

    Attributes:
        requests: Path and headers of every request so far.
        bodies: Path and content of every request so far that had any: those that post.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.bodies: list[tuple[str, bytes]] = []
        self._replies: dict[str, list[Reply]] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                web._answer(self)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with web._lock:
                    web.bodies.append((self.path, body))
                web._answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where the server is, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def serve(self, path: str, *replies: Reply | bytes) -> str:
        """Answer requests for a path with these, one after the other, and with the last one from then on; return its URL."""
        self._replies[path] = [reply if isinstance(reply, Reply) else Reply(reply) for reply in replies]
        return self.url + path

    def count(self, path: str) -> int:
        """Return how often a path was asked for."""
        return sum(asked == path for asked, _ in self.requests)

    def _next_reply(self, path: str, headers: dict[str, str]) -> Reply:
        with self._lock:
            self.requests.append((path, headers))
            replies = self._replies.get(path, [Reply(b"no such page", 404)])
            return replies.pop(0) if len(replies) > 1 else replies[0]

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        reply = self._next_reply(handler.path, dict(handler.headers.items()))
        part = re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers.get("Range") or "")
        body, status, headers = reply.body, reply.status, dict(reply.headers)
        if part and status == 200 and "no-ranges" not in headers:
            start, stop = int(part[1]), min(int(part[2]) + 1, len(body))
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body)}"
            body, status = body[start:stop], 206
        handler.send_response(status)
        if reply.chunked:
            headers["Transfer-Encoding"] = "chunked"
            framed = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
            body = framed + b"0\r\n\r\n"
        else:
            headers.setdefault("Content-Length", str(len(body)))
        if reply.cut is not None:
            body = body[: reply.cut]
            handler.close_connection = True
            headers["Connection"] = "close"
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
