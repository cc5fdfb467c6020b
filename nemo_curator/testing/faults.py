"""Stages that break what they run in, on cue: what a pipeline must survive."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.testing.tasks import Number

__all__ = ["Deadly", "DeadlyLifecycle", "LazyDeadly", "die"]

_MIB = 1024**2


class _Unreadable:
    """Can be pickled, and not read back."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (int, ("this is no number",))


class _WantsMore(Exception):
    """An exception whose constructor wants more than it passes on."""

    def __init__(self, code: int, *, hint: str) -> None:
        super().__init__(f"code {code}")
        self.hint = hint


class _Speechless(Exception):
    """An exception that cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError


class _Locked(Exception):
    """An exception that cannot be pickled."""

    def __init__(self) -> None:
        super().__init__("holds a lock")
        self.lock = threading.Lock()


def die(how: str) -> None:
    """End, stop or hang this process: ``segv``, ``kill``, ``abort``, ``exit``, ``stop``, ``hang_python``, ``hang_native``."""
    match how:
        case "segv":
            ctypes.string_at(0)
        case "kill" | "abort" | "stop":
            os.kill(os.getpid(), {"kill": signal.SIGKILL, "abort": signal.SIGABRT, "stop": signal.SIGSTOP}[how])
        case "exit":
            os._exit(3)
        case "hang_python":
            while True:
                threading.Event().wait(0.01)
        case "hang_native":
            # Backtracks for years without ever letting go of the GIL.
            re.match(r"(a+)+$", "a" * 64 + "b")
        case _:
            message = f"no way to die is called {how!r}"
            raise ValueError(message)


class Deadly(ProcessingStage[Number, Number]):
    """Does to chosen numbers what a script says, and passes on the others.

    Args:
        script: By number: a word of `die`, or one of ``unpicklable``, ``unreadable``, ``wants_more``, ``speechless``, ``locked``,
            ``recursion``, ``memory_error``, ``interrupt``, ``flood`` (prints 20 MB), ``fork`` (leaves a child behind), ``grow:<MiB>``
            (takes memory), ``large:<MiB>`` (returns as much).
        batch_size: With a number, the stage works on batches.
        once: A folder; a number that has a file in it has had its turn, and is passed on.
    """

    name = "deadly"

    def __init__(self, script: dict[int, str], batch_size: int | None = None, *, once: Path | None = None) -> None:
        self.script = script
        self.batch_size = batch_size or 1
        self.works_on_batches = batch_size is not None
        self.once = once

    def supports_batch_processing(self) -> bool:
        """Say whether a batch size was given."""
        return self.works_on_batches

    def process(self, task: Number) -> Any:
        """Do what the script says."""
        action, _, detail = self.script.get(task.data, "").partition(":")
        if not action or self._had_its_turn(task):
            return task
        special = getattr(self, f"_do_{action}", None)
        if special is not None:
            return special(task, detail)
        die(action)
        return task

    def process_batch(self, tasks: list[Number]) -> list[Any]:
        """Do what the script says to each."""
        return [self.process(task) for task in tasks]

    def _had_its_turn(self, task: Number) -> bool:
        if self.once is None:
            return False
        marker = self.once / str(task.data)
        if marker.exists():
            return True
        marker.touch()
        return False

    def _do_unpicklable(self, task: Number, _: str) -> Number:
        task.data = threading.Lock()  # type: ignore[assignment]
        return task

    def _do_unreadable(self, task: Number, _: str) -> Number:
        task.data = _Unreadable()  # type: ignore[assignment]
        return task

    def _do_wants_more(self, _task: Number, _: str) -> Number:
        raise _WantsMore(7, hint="more")

    def _do_speechless(self, _task: Number, _: str) -> Number:
        raise _Speechless

    def _do_locked(self, _task: Number, _: str) -> Number:
        raise _Locked

    def _do_recursion(self, task: Number, _: str) -> Number:
        return self._do_recursion(task, "")

    def _do_memory_error(self, _task: Number, _: str) -> Number:
        raise MemoryError

    def _do_interrupt(self, _task: Number, _: str) -> Number:
        raise KeyboardInterrupt

    def _do_flood(self, task: Number, _: str) -> Number:
        for _line in range(20 * 1024):
            sys.stdout.write("x" * 1023 + "\n")
        return task

    def _do_fork(self, task: Number, _: str) -> Number:
        if os.fork() == 0:
            threading.Event().wait()
        return task

    def _do_grow(self, task: Number, detail: str) -> Number:
        held = bytearray(int(detail) * _MIB)
        held[::4096] = b"x" * len(held[::4096])
        # Whoever watches needs a moment to see it.
        threading.Event().wait(3)
        return task

    def _do_large(self, task: Number, detail: str) -> Number:
        task._metadata["large"] = bytes(int(detail) * _MIB)
        return task


class LazyDeadly(ProcessingStage[Number, Number]):
    """Makes several numbers of each, one by one, and breaks when it comes to chosen ones.

    Args:
        script: By number that it makes: a word of `die`, or ``raise``.
        many: How many it makes of each: ``number * many + slot``.
        slowly_s: Pause before each, so that some are handed on before others are made.
    """

    name = "lazy_deadly"

    def __init__(self, script: dict[int, str], many: int = 10, slowly_s: float = 0.0) -> None:
        self.script, self.many, self.slowly_s = script, many, slowly_s

    def process(self, task: Number) -> Iterator[Number]:
        """Yield the numbers."""
        for slot in range(self.many):
            value = task.data * self.many + slot
            if self.slowly_s:
                threading.Event().wait(self.slowly_s)
            action = self.script.get(value)
            if action == "raise":
                message = f"scripted for {value}"
                raise ValueError(message)
            if action:
                die(action)
            yield Number(task.dataset_name, value)


class DeadlyLifecycle(ProcessingStage[Number, Number]):
    """Breaks in a step of its life-cycle.

    Args:
        step: ``setup_on_node``, ``setup``, ``teardown`` or ``import`` (when it is unpickled in a worker).
        how: A word of `die`, or ``raise``.
        once: A folder; once there is a file in it, nothing breaks any more.
    """

    name = "deadly_lifecycle"

    def __init__(self, step: str, how: str, *, once: Path | None = None) -> None:
        self.step, self.how, self.once = step, how, once
        self.driver = os.getpid()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take attributes over from a pickle, in a worker."""
        vars(self).update(state)
        if os.getpid() != self.driver:
            self._come_to("import")

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Break, if it is time."""
        self._come_to("setup_on_node")

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Break, if it is time."""
        self._come_to("setup")

    def process(self, task: Number) -> Number:
        """Pass the number on."""
        return task

    def teardown(self) -> None:
        """Break, if it is time."""
        self._come_to("teardown")

    def _come_to(self, step: str) -> None:
        if step != self.step:
            return
        if self.once is not None:
            marker = self.once / step
            if marker.exists():
                return
            marker.touch()
        if self.how == "raise":
            message = f"told to fail in {step}"
            raise RuntimeError(message)
        die(self.how)
