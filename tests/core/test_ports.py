from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from nemo_curator.core.ports import PortClaims, accepts, is_free, next_free
from nemo_curator.core.utils import get_free_port


@pytest.fixture
def busy() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_free_port_is_given_as_it_is(busy: int) -> None:
    free = next_free(busy)
    assert get_free_port(free) == free
    assert get_free_port(free, get_next_free_port=False) == free


def test_a_busy_port_moves_to_the_next_free_one(busy: int) -> None:
    moved = get_free_port(busy)
    assert moved > busy
    assert is_free(moved)
    assert accepts("127.0.0.1", busy)
    assert not accepts("127.0.0.1", moved)


def test_a_busy_port_that_may_not_move_is_an_error(busy: int) -> None:
    with pytest.raises(RuntimeError, match=rf"port {busy} is busy: give another one"):
        get_free_port(busy, get_next_free_port=False)


def test_the_ports_of_rays_workers_are_passed_over() -> None:
    assert next_free(10002) >= 20000
    assert next_free(19999) >= 20000


def test_there_may_be_no_free_port_left() -> None:
    with pytest.raises(RuntimeError, match="no port from 65536 to 65535 is free"):
        next_free(65536)


def test_two_claims_are_never_the_same() -> None:
    first, second = PortClaims(), PortClaims()
    port = first.take(next_free(30000), exact=False, host="localhost")
    assert is_free(port)
    assert second.take(port, exact=False, host="localhost") != port
    with pytest.raises(RuntimeError, match="is busy"):
        second.take(port, exact=True, host="localhost")
    first.close()
    assert second.take(port, exact=True, host="localhost") == port
    second.close()


def test_a_claim_that_was_given_on_holds_until_its_owner_ends() -> None:
    claims = PortClaims()
    port = claims.take(next_free(31000), exact=False, host="localhost")
    owner = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=claims.descriptors, env=dict(os.environ)
    )
    claims.close()
    with pytest.raises(RuntimeError, match="is busy"):
        claims.take(port, exact=True, host="localhost")
    owner.communicate(b"\n")
    assert claims.take(port, exact=True, host="localhost") == port
    claims.close()
