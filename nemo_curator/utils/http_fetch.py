"""Fetch URLs over HTTP: tried again after pauses, bounded in time and size, checked against truncation.

Python's own client does the work. Proxies are taken from the environment (``https_proxy`` and so on), as everywhere.
"""

from __future__ import annotations

import email.utils
import http.client
import io
import logging
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol, TypeVar
from urllib.parse import urljoin, urlsplit

from nemo_curator.errors import CuratorError, DataError, InputError, TransientError
from nemo_curator.utils.byte_sizes import format_bytes

__all__ = [
    "BROKEN_CONNECTION",
    "HttpPolicy",
    "Trouble",
    "fetch_bytes",
    "fetch_range",
    "fetch_to",
    "opener",
    "pause_before_retry",
    "retry_after_seconds",
    "try_again",
]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_CHUNK = 1 << 18
_PARTIAL = 206
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# The server, or something before it, is busy or restarting; the same request may succeed a little later.
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429, 500, 502, 503, 504})
BROKEN_CONNECTION = (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError, urllib.error.URLError)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _default_headers() -> dict[str, str]:
    return {"User-Agent": "curator-backends"}


@dataclass(frozen=True)
class HttpPolicy:
    """How hard to try, and when to stop. Picklable as long as its functions are.

    Attributes:
        attempts: Attempts in all, the first one included.
        timeout_s: Seconds that one step (to connect, to get the next bytes) may take.
        backoff_s: Seconds before the second attempt; doubled before each further one.
        max_backoff_s: The longest such pause.
        max_retry_after_s: The longest pause that a server may ask for with ``Retry-After``; when it asks for more, the fetch ends.
        max_redirects: Redirects that are followed in one attempt.
        max_bytes: The largest content that is accepted; `None` for any.
        headers: Sent with every request.
        sleep: Waits for seconds. Tests pass one that does not.
        now: Returns the time, which dates in ``Retry-After`` are compared with.
    """

    attempts: int = 5
    timeout_s: float = 60.0
    backoff_s: float = 1.0
    max_backoff_s: float = 60.0
    max_retry_after_s: float = 300.0
    max_redirects: int = 5
    max_bytes: int | None = None
    headers: Mapping[str, str] = field(default_factory=_default_headers)
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = _utc_now

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.timeout_s <= 0 or self.max_redirects < 0:
            message = (
                "HttpPolicy needs attempts from 1, timeout_s above 0 and max_redirects from 0, "
                f"got {self.attempts}, {self.timeout_s} and {self.max_redirects}"
            )
            raise ValueError(message)


class _Sink(Protocol):
    """What content is written to; started over when an attempt breaks off."""

    def write(self, data: bytes, /) -> object: ...

    def seek(self, offset: int, /) -> object: ...

    def truncate(self) -> object: ...


class Trouble(Exception):
    """One attempt failed: why, whether another is worth it, and after how many seconds the server wants it."""

    def __init__(self, why: str, *, final: type[CuratorError] | None = None, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.why, self.final, self.retry_after = why, final, retry_after


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Return the pause that a ``Retry-After`` header asks for: a number of seconds or a date; `None` if it says neither."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    # A date that names no zone is in UTC, says the standard.
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def pause_before_retry(policy: HttpPolicy, attempts: int, retry_after: float | None) -> float | None:
    """Return the seconds to wait after so many attempts, or `None` if there shall be no other.

    What the server asks for counts when it is longer than the policy's own pause.
    """
    if attempts >= policy.attempts:
        return None
    own = min(policy.backoff_s * 2.0 ** min(attempts - 1, 64), policy.max_backoff_s)
    if retry_after is None:
        return own
    return None if retry_after > policy.max_retry_after_s else max(own, retry_after)


def try_again(
    policy: HttpPolicy,
    attempt: Callable[[], T],
    *,
    doing: str,
    refused: str,
    gave_up: Callable[[int, Trouble], str],
) -> T:
    """Return what an attempt returns, the first or, after pauses, a later one.

    Args:
        policy: Attempts and pauses.
        attempt: Raises `Trouble` if it has failed.
        doing: What it does, for the log: ``"fetch https://..."``.
        refused: Beginning of the sentence when another attempt makes no sense.
        gave_up: Returns the sentence after so many attempts, the last of which failed with that.

    Raises:
        CuratorError: Of the kind that the trouble names, as another attempt makes no sense.
        TransientError: Every attempt failed, and a later one may not.
    """
    attempts = 0
    while True:
        attempts += 1
        try:
            return attempt()
        except Trouble as trouble:
            if trouble.final is not None:
                message = f"{refused}: {trouble.why}"
                raise trouble.final(message) from trouble
            pause = pause_before_retry(policy, attempts, trouble.retry_after)
            if pause is None:
                raise TransientError(gave_up(attempts, trouble)) from trouble
            _log.warning("attempt %d to %s failed: %s; the next in %.1f s", attempts, doing, trouble.why, pause)
            policy.sleep(pause)


def fetch_to(url: str, sink: _Sink, policy: HttpPolicy, *, part: tuple[int, int] | None = None) -> int:
    """Write the content of a URL to an open file, from its start.

    Args:
        url: Where to get it; http or https.
        sink: Emptied and written to.
        policy: Attempts, pauses and bounds.
        part: First byte and number of bytes, where not all is wanted.

    Returns:
        How many bytes there were.

    Raises:
        InputError: There is no such content, or it may not be read.
        DataError: The URL or the content is not acceptable: another protocol, too large, the wrong part.
        TransientError: Every attempt failed, and a later one may not.
    """

    def attempt() -> int:
        sink.seek(0)
        sink.truncate()
        return _attempt(url, sink, policy, part)

    return try_again(
        policy,
        attempt,
        doing=f"fetch {url}",
        refused=f"cannot fetch {url}",
        gave_up=lambda attempts, trouble: _gave_up(url, attempts, policy, trouble),
    )


def fetch_bytes(url: str, policy: HttpPolicy) -> bytes:
    """Return the content of a URL; raises as `fetch_to` does."""
    buffer = io.BytesIO()
    fetch_to(url, buffer, policy)
    return buffer.getvalue()


def fetch_range(url: str, start: int, length: int, policy: HttpPolicy) -> bytes:
    """Return `length` bytes of a URL from byte `start` on; raises as `fetch_to` does."""
    if start < 0 or length < 1:
        message = f"cannot fetch bytes {start} to {start + length} of {url}: give a start from 0 and a length from 1"
        raise DataError(message)
    buffer = io.BytesIO()
    fetch_to(url, buffer, policy, part=(start, length))
    return buffer.getvalue()


def _gave_up(url: str, attempts: int, policy: HttpPolicy, trouble: Trouble) -> str:
    head = f"cannot fetch {url} in {attempts} attempt{'s' * (attempts > 1)}: {trouble.why}"
    asked = trouble.retry_after
    if asked is not None and asked > policy.max_retry_after_s:
        return f"{head}. It asks to wait for {asked:.0f} s, more than the {policy.max_retry_after_s:.0f} s allowed; run it again later"
    return f"{head}. Run it again later, or allow more attempts"


def _attempt(url: str, sink: _Sink, policy: HttpPolicy, part: tuple[int, int] | None) -> int:
    headers = dict(policy.headers)
    if part is not None:
        headers["Range"] = f"bytes={part[0]}-{part[0] + part[1] - 1}"
    with _open(url, headers, policy) as response:
        expected: int | None = response.length
        if part is not None:
            expected = _expect_part(response, part)
        _check_size(expected or 0, policy)
        received = 0
        while chunk := _read(response):
            received += len(chunk)
            _check_size(received, policy)
            sink.write(chunk)
        if expected is not None and received != expected:
            message = f"the content ended after {received} of {expected} bytes"
            raise Trouble(message)
        return received


def _expect_part(response: Any, part: tuple[int, int]) -> int:
    """Return how many bytes come, if they are those that were asked for."""
    start, length = part
    said = response.headers.get("Content-Range") or "nothing"
    if response.status != _PARTIAL or not said.startswith(f"bytes {start}-{start + length - 1}/"):
        message = (
            f"the server was asked for bytes {start} to {start + length - 1} and answers {response.status} with {said}. "
            "The file is shorter than expected, or the server cannot send parts"
        )
        raise Trouble(message, final=DataError)
    return length


def _check_size(size: int, policy: HttpPolicy) -> None:
    if policy.max_bytes is not None and size > policy.max_bytes:
        message = f"it is larger than {format_bytes(policy.max_bytes)}, the most that is accepted; raise max_bytes"
        raise Trouble(message, final=DataError)


def _read(response: Any) -> bytes:
    try:
        return response.read(_CHUNK)
    except BROKEN_CONNECTION as error:
        message = f"the connection broke: {_in_words(error)}"
        raise Trouble(message) from error


def _open(url: str, headers: dict[str, str], policy: HttpPolicy) -> Any:
    """Return the response to a request, after redirects."""
    target = url
    for _ in range(policy.max_redirects + 1):
        if urlsplit(target).scheme not in {"http", "https"}:
            hint = "" if target == url else " It was redirected there"
            message = f"{target!r} is not an http or https URL.{hint}"
            raise Trouble(message, final=DataError)
        try:
            # The scheme was looked at, and the opener knows no other.
            return opener().open(urllib.request.Request(target, headers=headers), timeout=policy.timeout_s)  # noqa: S310
        except urllib.error.HTTPError as error:
            with error:
                if error.code not in _REDIRECTS:
                    raise _refused(error, policy) from error
                target = urljoin(target, error.headers.get("Location") or "?")
        except http.client.InvalidURL as error:
            message = f"the URL is malformed: {error}"
            raise Trouble(message, final=DataError) from error
        except BROKEN_CONNECTION as error:
            reason = getattr(error, "reason", error)
            untrusted = isinstance(reason, ssl.SSLCertVerificationError)
            message = f"no connection: {_in_words(reason)}"
            raise Trouble(message, final=DataError if untrusted else None) from error
    message = f"it was redirected more than {policy.max_redirects} times, last to {target}"
    raise Trouble(message, final=DataError)


def _refused(error: urllib.error.HTTPError, policy: HttpPolicy) -> Trouble:
    why = f"the server answers {error.code} {error.reason}"
    if error.code in _WORTH_ANOTHER_TRY:
        return Trouble(why, retry_after=retry_after_seconds(error.headers.get("Retry-After"), policy.now()))
    return Trouble(f"{why}. Check the URL, and whether it may be read without logging in", final=InputError)


def _in_words(error: object) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


@lru_cache(maxsize=1)
def opener() -> urllib.request.OpenerDirector:
    """Return an opener that knows http and https and nothing else; it leaves redirects to the caller, which bounds them."""
    director = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.HTTPDefaultErrorHandler,
    ):
        director.add_handler(handler())
    return director
