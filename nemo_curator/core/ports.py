"""Free TCP ports, and claims on them that hold until their owner ends."""

from __future__ import annotations

import errno
import socket
import sys

__all__ = ["PortClaims", "accepts", "get_free_port", "is_free"]

# Ray gives these to its workers, and looks only when it does.
_OF_WORKERS = range(10002, 20000)
_LAST = 65535


def is_free(port: int, host: str = "localhost") -> bool:
    """Return whether a server could listen on that port now.

    A port whose last connection is still closing counts as free, as it does for servers.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def accepts(host: str, port: int, timeout_s: float = 1.0) -> bool:
    """Return whether somebody accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False


def get_free_port(start_port: int, get_next_free_port: bool = True, bind_host: str = "localhost") -> int:
    """Return a port that nobody listens on: `start_port`, or the next free one.

    The port is not reserved: somebody else may take it before you do. `PortClaims` keeps at least this package from it.

    Args:
        start_port: The port to begin with.
        get_next_free_port: Look further when that port is busy. Ports 10002 to 19999 are passed over, as Ray gives them
            to its workers.
        bind_host: Address that the port will be listened on.

    Raises:
        RuntimeError: The port is busy and `get_next_free_port` is off, or no port after it is free.
    """
    if is_free(start_port, bind_host):
        return start_port
    if not get_next_free_port:
        raise RuntimeError(_busy(start_port))
    return next_free(start_port + 1, bind_host)


def next_free(start_port: int, bind_host: str = "localhost") -> int:
    """Return the first free port from `start_port` on that Ray's workers do not use."""
    for port in range(start_port, _LAST + 1):
        if port not in _OF_WORKERS and is_free(port, bind_host):
            return port
    message = f"no port from {start_port} to {_LAST} is free on {bind_host}: close what listens there, or begin lower"
    raise RuntimeError(message)


def _busy(port: int) -> str:
    return f"port {port} is busy: give another one, or leave the default, which moves to the next free port"


class PortClaims:
    """Ports that this process has chosen and that nobody listens on yet.

    Between choosing a port and listening on it there are seconds in which another cluster could choose the same one. A claim
    is a Unix socket with the port's number in its name, which the kernel gives to one process only. It has no file, and is gone
    with the last process that holds it: so a claim is given to the cluster with its descriptor (`descriptors`) and dropped
    here (`close`). Only this package looks at claims; where the kernel has no such names, there are none.
    """

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    @property
    def descriptors(self) -> list[int]:
        """What keeps the claims."""
        return [claim.fileno() for claim in self._sockets]

    def take(self, start_port: int, *, exact: bool, host: str) -> int:
        """Claim `start_port`, or the next free one unless it must be `exact`.

        Raises:
            RuntimeError: The port must be exact and is busy or claimed, or no port is free.
        """
        if exact:
            if is_free(start_port, host) and self._claim(start_port):
                return start_port
            raise RuntimeError(_busy(start_port))
        port = get_free_port(start_port, bind_host=host)
        while not self._claim(port):
            port = next_free(port + 1, host)
        return port

    def close(self) -> None:
        """Drop the claims of this process; those that were given on stay."""
        while self._sockets:
            self._sockets.pop().close()

    def _claim(self, port: int) -> bool:
        if sys.platform != "linux":
            return True
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0nemo_curator_port_{port}")
        except OSError:
            claim.close()
            return False
        self._sockets.append(claim)
        return True
