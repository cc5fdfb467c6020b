"""The main program of a worker process: takes commands from a channel until it closes."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import mmap
import os
import signal
import socket
import sys
from dataclasses import dataclass
from typing import Any

from nemo_curator.backends.workers.channel import Channel
from nemo_curator.backends.workers.packer import ProcessPacker, SharedMemory
from nemo_curator.engine.beacon import Beacon
from nemo_curator.engine.host import CloseWorker, WorkerHost, WorkerReady
from nemo_curator.engine.options import RunOptions

__all__ = ["STACK_SIGNAL", "Hello", "main"]

STACK_SIGNAL = signal.SIGUSR1

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_COLLECT_AFTER = 10_000


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message to a worker.

    Attributes:
        worker: Its number.
        options: How the run behaves.
        driver: Id of the driver's process.
        beacon: Memory in which it says what it is at.
        stacks: File to which it writes its Python stack when it is asked to by `STACK_SIGNAL`.
        gpus: Devices of its own.
        node: Name of the machine.
        orphan_tears_down: If the driver dies while this worker is idle, it tears down, within the time there is for that; otherwise it
            dies with the driver, as it does when it is busy.
        stays: When this worker has torn down, the process waits for another one to host.
    """

    worker: int
    options: RunOptions
    driver: int
    beacon: SharedMemory
    stacks: SharedMemory
    gpus: tuple[str, ...] = ()
    node: str = "localhost"
    orphan_tears_down: bool = False
    stays: bool = False


def main(fd: int) -> None:
    """Serve the driver at the other end of the socket `fd`; never returns."""
    faulthandler.enable()
    # The driver decides what an interrupt means; a worker ends when the driver closes the channel, or with the driver.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Tasks are many small objects that die young. Looking at all that was imported every few hundred of them costs a fifth
    # of the time of a pipeline of small tasks.
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)
    channel = Channel(socket.socket(fileno=fd))
    code = 0
    with contextlib.suppress(EOFError):  # nobody needs the process any more
        while True:
            hello: Hello = channel.receive()
            code = _serve(channel, hello)
            sys.stdout.flush()
            sys.stderr.flush()
            if code or not hello.stays:
                break
            _forget_listings()
    # Native libraries may hang or crash while an interpreter takes itself apart; everything of ours is closed.
    os._exit(code)


def _serve(channel: Channel, hello: Hello) -> int:
    """Be the worker that the greeting says, until it is told to close; return the code to exit with."""
    tethered = not hello.orphan_tears_down
    if tethered:
        _die_with(hello.driver)
    # Written by a handler in C, so that it works while native code runs and holds the GIL.
    faulthandler.register(STACK_SIGNAL, file=hello.stacks.fd, all_threads=True)
    host = WorkerHost(
        hello.worker,
        hello.options,
        ProcessPacker(by_value=False),
        node=hello.node,
        beacon=Beacon(mmap.mmap(hello.beacon.fd, Beacon.SIZE)),
        allocation=list(hello.gpus) or None,
    )
    channel.send(WorkerReady(hello.worker, hello.node))
    try:
        while True:
            command = channel.receive()
            if not tethered:
                _die_with(hello.driver)
            event = host.handle(command)
            if not tethered:
                _die_with(None)
            channel.send(event)
            if isinstance(command, CloseWorker):
                return 0
    except (EOFError, BrokenPipeError):
        # The driver is gone, or has given up on this worker: what was set up is still torn down. Nobody is left to end a teardown
        # that hangs, but for a thread that needs no GIL.
        faulthandler.dump_traceback_later(hello.options.teardown_timeout_s, exit=True)
        host.close()
        return 1


def _forget_listings() -> None:
    """Let fsspec look again: it remembers what is in folders for as long as a process lives, and others write there between runs."""
    fsspec = sys.modules.get("fsspec")
    kinds: list[Any] = [] if fsspec is None else [fsspec.AbstractFileSystem]
    for kind in kinds:
        kind.clear_instance_cache()
        kinds += kind.__subclasses__()


def _die_with(driver: int | None) -> None:
    """Ask the kernel to kill this process when the driver dies, however busy it is then; `None`: not to."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, 0 if driver is None else signal.SIGKILL)
        if driver is not None and os.getppid() != driver:
            os._exit(1)
