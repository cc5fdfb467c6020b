"""WARC files as crawlers write them, made of real pages."""

from __future__ import annotations

import gzip
import uuid
from typing import Any

__all__ = ["record", "response", "warc_of"]


def record(kind: str, url: str, block: bytes, content_type: str) -> bytes:
    """One record, not compressed. Its id is made of the URL, so that tests can expect it."""
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\n"
        f"WARC-Record-ID: <urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, url)}>\r\nWARC-Date: 2024-03-01T00:00:00Z\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


def response(url: str, body: bytes, headers: str = "") -> bytes:
    """A response record for a page."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return record("response", url, head.encode() + body, "application/http; msgtype=response")


def warc_of(pages: list[dict[str, Any]], compressed: bool = True) -> tuple[bytes, list[tuple[int, int]]]:
    """A WARC file with requests and responses for pages, and where the responses are: offset and length."""
    pack = (lambda data: gzip.compress(data, mtime=0)) if compressed else (lambda data: data)
    parts = [pack(record("warcinfo", "", b"software: test\r\n", "application/warc-fields"))]
    places: list[tuple[int, int]] = []
    for page in pages:
        url = f"http://pages.example/{page['url']}"
        get = f"GET /{page['url']} HTTP/1.1\r\nHost: pages.example\r\n\r\n".encode()
        parts.append(pack(record("request", url, get, "application/http; msgtype=request")))
        offset = sum(map(len, parts))
        parts.append(pack(response(url, page["html"].encode())))
        places.append((offset, len(parts[-1])))
    return b"".join(parts), places
