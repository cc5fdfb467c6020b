"""Messages between the driver and a worker process: pickles over a socket, descriptors of shared memory beside them."""

from __future__ import annotations

import io
import pickle
import select
import socket
import struct
from collections.abc import Sequence
from typing import Any

from nemo_curator.backends.workers.packer import SharedMemory

__all__ = ["Channel", "OutOfDescriptorsError"]

_HEADER = struct.Struct("!QI")
# The kernel takes 253 descriptors at once.
_FDS_AT_ONCE = 200
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class OutOfDescriptorsError(Exception):
    """A message brought more descriptors than this process may open."""


class Channel:
    """One end of a socket between two processes of the same user and run; nothing else can reach it.

    Args:
        sock: A connected Unix stream socket; the channel closes it.
        patience_s: Seconds for which the other end may stop in the middle of a message; `None` for any time.
    """

    def __init__(self, sock: socket.socket, patience_s: float | None = None) -> None:
        sock.settimeout(patience_s)
        self._socket = sock

    def fileno(self) -> int:
        """Return the socket's descriptor, for selectors."""
        return self._socket.fileno()

    def send(self, message: object) -> None:
        """Send a message; blocks until the kernel has taken all of it.

        Raises:
            OSError: The other end is gone, or has stopped reading.
        """
        memories: list[SharedMemory] = []
        buffer = io.BytesIO()
        _Pickler(buffer, memories).dump(message)
        data = buffer.getbuffer()
        self._socket.sendall(_HEADER.pack(len(data), len(memories)))
        for start in range(0, len(memories), _FDS_AT_ONCE):
            fds = [memory.fd for memory in memories[start : start + _FDS_AT_ONCE]]
            socket.send_fds(self._socket, [b"F"], fds)
        self._socket.sendall(data)

    def receive(self) -> Any:
        """Return the next message; blocks until it is complete.

        Raises:
            EOFError: The other end is gone, or has stopped in the middle of a message.
            OutOfDescriptorsError: This process may not open as many files as the message brings. The channel is of no more
                use.
        """
        nbytes, count = _HEADER.unpack(self._exactly(_HEADER.size))
        memories: list[SharedMemory] = []
        while len(memories) < count:
            marker, fds, _, _ = socket.recv_fds(self._socket, 1, _FDS_AT_ONCE, _CLOSE_ON_EXEC)
            if not marker:
                raise EOFError
            if not fds:
                # The kernel throws away what this process may not open.
                raise OutOfDescriptorsError
            memories += [SharedMemory(fd) for fd in fds]
        return _Unpickler(io.BytesIO(self._exactly(nbytes)), memories).load()

    def has_news(self) -> bool:
        """Say whether something has come that nobody has received."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _exactly(self, nbytes: int) -> bytearray:
        data = bytearray(nbytes)
        view = memoryview(data)
        while view:
            try:
                got = self._socket.recv_into(view)
            except (ConnectionError, TimeoutError) as error:
                raise EOFError from error
            if not got:
                raise EOFError
            view = view[got:]
        return data


class _Pickler(pickle.Pickler):
    """Puts descriptors aside, and their positions into the pickle."""

    def __init__(self, file: io.BytesIO, memories: list[SharedMemory]) -> None:
        super().__init__(file, protocol=5)
        self._memories = memories

    def persistent_id(self, obj: object) -> int | None:
        if isinstance(obj, SharedMemory):
            self._memories.append(obj)
            return len(self._memories) - 1
        return None


class _Unpickler(pickle.Unpickler):
    """Takes descriptors from where they were put."""

    def __init__(self, file: io.BytesIO, memories: Sequence[SharedMemory]) -> None:
        super().__init__(file)
        self._memories = memories

    def persistent_load(self, pid: int) -> SharedMemory:
        return self._memories[pid]
