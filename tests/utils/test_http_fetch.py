"""Fetching over HTTP, from a real server on the loopback interface that answers as it is told."""

from __future__ import annotations

import io
import pickle
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.errors import DataError, InputError, TransientError
from nemo_curator.testing.web import LoopbackWeb, Reply
from nemo_curator.utils.http_fetch import (
    HttpPolicy,
    fetch_bytes,
    fetch_range,
    fetch_to,
    pause_before_retry,
    retry_after_seconds,
)

NOON = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)
BODY = bytes(range(256)) * 2000


@pytest.fixture
def web() -> Iterator[LoopbackWeb]:
    with LoopbackWeb() as server:
        yield server


class Pauses(list[float]):
    """Notes the pauses instead of making them."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def _policy(**options: object) -> tuple[HttpPolicy, Pauses]:
    pauses = Pauses()
    return replace(HttpPolicy(sleep=pauses, now=lambda: NOON, timeout_s=20), **options), pauses  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Wed, 01 May 2024 12:01:30 GMT", 90.0),
        ("Wed, 01 May 2024 12:01:30 -0000", 90.0),
        ("Wed, 01 May 2024 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("١٢", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOON) == seconds


def test_pauses_double_up_to_a_bound() -> None:
    policy = HttpPolicy(attempts=6, backoff_s=1, max_backoff_s=5)
    assert [pause_before_retry(policy, n, None) for n in range(1, 7)] == [1, 2, 4, 5, 5, None]
    assert pause_before_retry(policy, 1, 30) == 30
    assert pause_before_retry(policy, 3, 2) == 4
    assert pause_before_retry(policy, 1, policy.max_retry_after_s + 1) is None


@given(st.integers(1, 2999))
def test_no_number_of_attempts_overflows(attempts: int) -> None:
    pause = pause_before_retry(HttpPolicy(attempts=3000), attempts, None)
    assert pause is not None
    assert 0 <= pause <= 60


@pytest.mark.parametrize("chunked", [False, True])
def test_content_arrives(web: LoopbackWeb, chunked: bool) -> None:
    url = web.serve("/a", Reply(BODY, chunked=chunked))
    assert fetch_bytes(url, HttpPolicy()) == BODY
    assert web.requests[0][1]["User-Agent"] == "curator-backends"


def test_an_empty_file_is_a_file(web: LoopbackWeb) -> None:
    assert fetch_bytes(web.serve("/a", b""), HttpPolicy()) == b""


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_given_the_time_that_it_asks_for(web: LoopbackWeb, status: int) -> None:
    busy = [Reply(b"later", status, {"Retry-After": "9"})]
    busy.append(Reply(b"later", status, {"Retry-After": "Wed, 01 May 2024 12:00:40 GMT"}))
    busy.append(Reply(b"later", status))
    url = web.serve("/a", *busy, BODY)
    policy, pauses = _policy()
    assert fetch_bytes(url, policy) == BODY
    assert pauses == [9, 40, 4]


def test_a_server_that_asks_for_too_much_time_ends_the_fetch(web: LoopbackWeb) -> None:
    url = web.serve("/a", Reply(b"", 503, {"Retry-After": "86400"}))
    policy, pauses = _policy()
    with pytest.raises(TransientError, match=r"in 1 attempt: the server answers 503.*asks to wait for 86400 s"):
        fetch_bytes(url, policy)
    assert pauses == []


def test_attempts_are_bounded(web: LoopbackWeb) -> None:
    url = web.serve("/a", Reply(b"", 500))
    policy, pauses = _policy(attempts=3)
    with pytest.raises(TransientError, match=re.escape(url) + " in 3 attempts: the server answers 500"):
        fetch_bytes(url, policy)
    assert pauses == [1, 2]
    assert web.count("/a") == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_what_is_not_there_is_not_asked_for_again(web: LoopbackWeb, status: int) -> None:
    url = web.serve("/a", Reply(b"", status))
    policy, pauses = _policy()
    with pytest.raises(InputError, match=f"the server answers {status}"):
        fetch_bytes(url, policy)
    assert pauses == []
    assert web.count("/a") == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_content_that_breaks_off_is_fetched_again_from_the_start(web: LoopbackWeb, chunked: bool) -> None:
    url = web.serve("/a", Reply(BODY, cut=300_000, chunked=chunked), Reply(BODY, cut=0, chunked=chunked), BODY)
    policy, pauses = _policy()
    assert fetch_bytes(url, policy) == BODY
    assert pauses == [1, 2]


def test_a_shorter_second_answer_leaves_nothing_of_the_first(web: LoopbackWeb, tmp_path: Path) -> None:
    url = web.serve("/a", Reply(BODY, cut=300_000), b"short")
    policy, _ = _policy()
    with (tmp_path / "a").open("w+b") as sink:
        assert fetch_to(url, sink, policy) == 5
    assert (tmp_path / "a").read_bytes() == b"short"


def test_truncation_is_named(web: LoopbackWeb) -> None:
    url = web.serve("/a", Reply(BODY, cut=1000))
    policy, _ = _policy(attempts=1)
    with pytest.raises(TransientError, match=f"ended after 1000 of {len(BODY)} bytes"):
        fetch_bytes(url, policy)


def test_nobody_listens() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused, and nobody else gets the port
        policy, pauses = _policy(attempts=2)
        with pytest.raises(TransientError, match="no connection: ConnectionRefusedError"):
            fetch_bytes(f"http://127.0.0.1:{held.getsockname()[1]}/a", policy)
    assert pauses == [1]


def test_a_server_that_says_nothing_runs_into_the_timeout() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        policy, _ = _policy(attempts=1, timeout_s=0.05)
        with pytest.raises(TransientError, match="timed out"):
            fetch_bytes(f"http://127.0.0.1:{mute.getsockname()[1]}/a", policy)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(web: LoopbackWeb, status: int) -> None:
    url = web.serve("/a", Reply(b"", status, {"Location": "/b?x=1"}))
    web.serve("/b?x=1", Reply(b"", status, {"Location": web.url + "/c"}))
    web.serve("/c", BODY)
    assert fetch_bytes(url, HttpPolicy()) == BODY


def test_redirects_are_bounded(web: LoopbackWeb) -> None:
    url = web.serve("/a", Reply(b"", 302, {"Location": "/a"}))
    policy, pauses = _policy(max_redirects=3)
    with pytest.raises(DataError, match="redirected more than 3 times"):
        fetch_bytes(url, policy)
    assert web.count("/a") == 4
    assert pauses == []


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/a", "data:,hello", "gopher://127.0.0.1/"])
def test_redirects_lead_to_http_only(web: LoopbackWeb, target: str) -> None:
    url = web.serve("/a", Reply(b"", 302, {"Location": target}))
    with pytest.raises(DataError, match=r"is not an http or https URL\. It was redirected there"):
        fetch_bytes(url, HttpPolicy())


@pytest.mark.parametrize("url", ["file:///etc/hostname", "/etc/hostname", "s3://bucket/a", ""])
def test_only_http_is_fetched(url: str) -> None:
    with pytest.raises(DataError, match="is not an http or https URL"):
        fetch_bytes(url, HttpPolicy())


def test_a_malformed_url_is_not_tried_again(web: LoopbackWeb) -> None:
    policy, pauses = _policy()
    with pytest.raises(DataError, match="malformed"):
        fetch_bytes(web.url + "/a b", policy)
    assert pauses == []


@pytest.mark.parametrize("chunked", [False, True])
def test_content_is_bounded(web: LoopbackWeb, chunked: bool) -> None:
    url = web.serve("/a", Reply(BODY, chunked=chunked))
    policy, pauses = _policy(max_bytes=len(BODY) - 1)
    with pytest.raises(DataError, match=r"larger than .* raise max_bytes"):
        fetch_bytes(url, policy)
    assert pauses == []
    assert fetch_bytes(url, replace(policy, max_bytes=len(BODY))) == BODY


def test_a_part_of_a_file(web: LoopbackWeb) -> None:
    url = web.serve("/a", BODY)
    assert fetch_range(url, 1000, 300, HttpPolicy()) == BODY[1000:1300]


@pytest.mark.parametrize(("start", "length"), [(len(BODY) - 10, 11), (-1, 5), (0, 0)])
def test_a_part_that_is_not_there(web: LoopbackWeb, start: int, length: int) -> None:
    url = web.serve("/a", BODY)
    with pytest.raises(DataError):
        fetch_range(url, start, length, HttpPolicy())


def test_a_server_that_sends_all_instead_of_a_part(web: LoopbackWeb) -> None:
    url = web.serve("/a", Reply(BODY, headers={"no-ranges": "1"}))
    with pytest.raises(DataError, match="answers 200 with nothing"):
        fetch_range(url, 1000, 300, HttpPolicy())


def test_the_disk_is_not_the_network(web: LoopbackWeb) -> None:
    class Full(io.BytesIO):
        def write(self, data: object, /) -> int:
            raise OSError(28, "No space left on device")

    url = web.serve("/a", BODY)
    policy, pauses = _policy()
    with pytest.raises(OSError, match="No space"):
        fetch_to(url, Full(), policy)
    assert pauses == []


def test_policies_travel() -> None:
    assert pickle.loads(pickle.dumps(HttpPolicy(attempts=2))) == HttpPolicy(attempts=2)


@pytest.mark.parametrize("options", [{"attempts": 0}, {"timeout_s": 0}, {"max_redirects": -1}])
def test_policies_make_sense(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="HttpPolicy needs"):
        HttpPolicy(**options)  # type: ignore[arg-type]
