"""Ask a model behind an endpoint that speaks OpenAI's chat completions: a server of one's own (vLLM, SGLang, llama.cpp) or a service.

Tried again after pauses, as `nemo_curator.utils.http_fetch` does: servers of models say with ``Retry-After`` when they are less busy.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.utils.http_fetch import BROKEN_CONNECTION, HttpPolicy, Trouble, opener, retry_after_seconds, try_again

__all__ = ["ChatEndpoint", "image_message"]

_log = logging.getLogger(__name__)

_MOST_BYTES = 16 * 1024**2
_WORTH_ANOTHER_TRY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
# It is this request that is not liked: another one may be.
_ABOUT_THE_REQUEST = frozenset({400, 413, 415, 422})
_SHOWN = 300


def image_message(text: str, images: Sequence[bytes], media_type: str = "image/jpeg") -> dict[str, Any]:
    """Return a user's message of a text and pictures, encoded in it."""
    urls = [f"data:{media_type};base64,{base64.b64encode(image).decode()}" for image in images]
    parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"role": "user", "content": [*parts, {"type": "text", "text": text}]}


@dataclass(frozen=True)
class ChatEndpoint:
    """Where a model is, and how to ask it. Picklable; the key stays in the environment of the workers.

    Attributes:
        base_url: Up to and with the version, such as ``http://127.0.0.1:8000/v1``.
        model: What the endpoint calls the model.
        api_key_env: Name of the environment variable that has the key; without the variable none is sent.
        stream: Take the answer as it is written. A server that thinks for minutes then does not look dead.
        temperature: 0 for the likeliest answer.
        policy: Attempts, pauses and how long one step may take.
    """

    base_url: str
    model: str
    api_key_env: str = "OPENAI_API_KEY"
    stream: bool = False
    temperature: float = 0.0
    policy: HttpPolicy = field(default_factory=lambda: HttpPolicy(timeout_s=300.0))

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            message = f"base_url of a ChatEndpoint must begin with http:// or https://, got {self.base_url!r}"
            raise OptionError(message)

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"{self.base_url.rstrip('/')}/chat/completions"

    def complete(self, messages: Sequence[dict[str, Any]], max_tokens: int = 512) -> str:
        """Return the model's answer.

        Args:
            messages: The conversation, in OpenAI's form.
            max_tokens: How long the answer may be.

        Raises:
            DataError: The endpoint does not take this request, or answers with something else than text.
            InputError: There is no such model or endpoint, or the key is not accepted.
            TransientError: Every attempt failed, and a later one may not.
        """
        body = {
            "model": self.model,
            "messages": list(messages),
            "max_tokens": max_tokens,
            "temperature": self.temperature,
            "stream": self.stream,
        }
        content = json.dumps(body).encode()
        who = f"model {self.model!r} at {self.base_url}"
        return try_again(
            self.policy,
            lambda: self._attempt(content),
            doing=f"ask {self.base_url}",
            refused=who,
            gave_up=lambda attempts, trouble: _gave_up(who, attempts, trouble),
        )

    def _attempt(self, content: bytes) -> str:
        headers = {**self.policy.headers, "Content-Type": "application/json"}
        if key := os.environ.get(self.api_key_env):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self.url, data=content, headers=headers, method="POST")  # noqa: S310 - the scheme was looked at
        try:
            with cast("Any", opener().open(request, timeout=self.policy.timeout_s)) as response:
                kind = response.headers.get("Content-Type") or ""
                return _streamed(response) if kind.startswith("text/event-stream") else _whole(response)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error) from error
        except BROKEN_CONNECTION as error:
            reason = getattr(error, "reason", error)
            message = f"no connection: {type(reason).__name__}: {reason}"
            raise Trouble(message) from error

    def _refused(self, error: urllib.error.HTTPError) -> Trouble:
        why = f"the server answers {error.code}: {_said(error)}"
        if error.code in _WORTH_ANOTHER_TRY:
            pause = retry_after_seconds(error.headers.get("Retry-After"), self.policy.now())
            return Trouble(why, retry_after=pause)
        if error.code in _ABOUT_THE_REQUEST:
            return Trouble(why, final=DataError)
        return Trouble(f"{why}. Check base_url, model and the key in {self.api_key_env}", final=InputError)


def _gave_up(who: str, attempts: int, trouble: Trouble) -> str:
    tries = f"{attempts} attempt{'s' * (attempts > 1)}"
    asked = f" It asks to wait for {trouble.retry_after:.0f} s." if trouble.retry_after else ""
    return f"{who} gave no answer in {tries}: {trouble.why}.{asked} Run it again later"


def _said(error: urllib.error.HTTPError) -> str:
    """Return what the body says is wrong, or what the status means."""
    try:
        body = error.read(_MOST_BYTES)
        parsed: Any = json.loads(body)
        found: Any = parsed.get("error", parsed)
        text: Any = found if isinstance(found, str) else found.get("message")
    except (ValueError, AttributeError, *BROKEN_CONNECTION):
        text = None
    return str(text or error.reason or "no reason is given")[:_SHOWN]


def _whole(response: Any) -> str:
    body = response.read(_MOST_BYTES + 1)
    if len(body) > _MOST_BYTES:
        message = "the answer is larger than 16 MiB"
        raise Trouble(message, final=DataError)
    # Content that ends before its length is read as what there was of it, without an error.
    if response.length:
        message = f"the answer ended {response.length} bytes early"
        raise Trouble(message)
    parsed = _parsed(body)
    try:
        return _text(parsed["choices"][0]["message"]["content"])
    except (KeyError, IndexError, TypeError) as error:
        message = f"the answer has no text in it: {body[:_SHOWN].decode(errors='replace')}"
        raise Trouble(message, final=DataError) from error


def _streamed(response: Any) -> str:
    """Return the pieces of an answer that comes as server-sent events, put together; one that breaks off counts as none."""
    pieces: list[str] = []
    size = 0
    for event in _events(response):
        if event == b"[DONE]":
            return _text("".join(pieces))
        parsed = _parsed(event)
        if "error" in parsed:
            message = f"the server broke off: {str(parsed['error'])[:_SHOWN]}"
            raise Trouble(message)
        size += len(event)
        if size > _MOST_BYTES:
            message = "the answer is larger than 16 MiB"
            raise Trouble(message, final=DataError)
        pieces += _pieces(parsed)
    message = "the answer broke off before its end"
    raise Trouble(message)


def _pieces(event: dict[str, Any]) -> list[str]:
    choices: Any = event.get("choices") or ()
    try:
        return [(choice.get("delta") or {}).get("content") or "" for choice in choices]
    except (AttributeError, TypeError) as error:
        message = f"the answer is not in the form of chat completions: {str(event)[:_SHOWN]}"
        raise Trouble(message, final=DataError) from error


def _events(response: Any) -> Iterator[bytes]:
    while line := response.readline(_MOST_BYTES):
        name, _, value = line.strip().partition(b":")
        if name == b"data":
            yield value.strip()


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(content)
    except ValueError as error:
        message = f"the answer is not JSON: {content[:_SHOWN].decode(errors='replace')}"
        raise Trouble(message) from error
    if not isinstance(parsed, dict):
        message = f"the answer is not an object of JSON: {content[:_SHOWN].decode(errors='replace')}"
        raise Trouble(message, final=DataError)
    return cast("dict[str, Any]", parsed)


def _text(content: object) -> str:
    text = content.strip() if isinstance(content, str) else ""
    if not text:
        message = "the answer is empty"
        raise Trouble(message, final=DataError)
    return text
