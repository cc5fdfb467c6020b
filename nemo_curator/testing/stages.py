"""Stages over `Number` that a reference interpreter can follow, and stages that keep a journal or misbehave on cue."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from nemo_curator.errors import TransientError
from nemo_curator.stages.base import ProcessingStage, Topology
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.worker_info import NodeInfo, WorkerMetadata
from nemo_curator.tasks import EmptyTask, FailedTask, NoneTask
from nemo_curator.testing.journal import Journal
from nemo_curator.testing.tasks import Number

__all__ = [
    "Add",
    "BatchAdd",
    "BatchKeep",
    "CollectAll",
    "Count",
    "GroupSum",
    "Journaling",
    "Keep",
    "Modelled",
    "Repeat",
    "RepeatLazily",
    "Scripted",
]


class Modelled(ProcessingStage[Number, Number]):
    """A stage that says in plain numbers what becomes of one: `model`."""

    _is_abstract_root = True
    resources = Resources(cpus=1.0)

    @abstractmethod
    def model(self, value: int) -> list[int | None]:
        """Return what a number becomes; `None` for an empty slot."""

    def process(self, task: Number) -> Number | list[Number] | Iterator[Number] | None:
        """Return a task for every number of the model."""
        return [None if value is None else Number(task.dataset_name, value) for value in self.model(task.data)]  # type: ignore[misc]


class Add(Modelled):
    """Adds a number, in place."""

    name = "add"

    def __init__(self, amount: int = 1) -> None:
        self.amount = amount

    def model(self, value: int) -> list[int | None]:
        """Return the sum."""
        return [value + self.amount]

    def process(self, task: Number) -> Number:
        """Change the task itself."""
        task.data += self.amount
        return task


class Keep(Modelled):
    """Drops what is divisible by a number."""

    name = "keep"

    def __init__(self, divisor: int = 2) -> None:
        self.divisor = divisor

    def model(self, value: int) -> list[int | None]:
        """Return the number, or an empty slot."""
        return [value if value % self.divisor else None]

    def process(self, task: Number) -> Number | None:
        """Return the task, or `None`."""
        return task if task.data % self.divisor else None


class Repeat(Modelled):
    """Makes as many tasks of a number as its remainder says, and leaves every third slot empty."""

    name = "repeat"

    def __init__(self, most: int = 4) -> None:
        self.most = most

    def model(self, value: int) -> list[int | None]:
        """Return 0 to `most` slots."""
        return [None if slot % 3 == 2 else value * 10 + slot for slot in range(value % (self.most + 1))]

    def process(self, task: Number) -> list[Number]:
        """Return a list."""
        return super().process(task)  # type: ignore[return-value]


class RepeatLazily(Repeat):
    """The same by an iterator."""

    name = "repeat_lazily"

    def process(self, task: Number) -> Iterator[Number]:  # type: ignore[override]
        """Yield the slots one by one."""
        for value in self.model(task.data):
            yield None if value is None else Number(task.dataset_name, value)  # type: ignore[misc]


class BatchAdd(Modelled):
    """Adds a number to a batch at a time."""

    name = "batch_add"

    def __init__(self, amount: int = 1, batch_size: int | None = 3, journal: Journal | None = None) -> None:
        self.amount = amount
        self.batch_size = batch_size
        self.journal = journal

    def model(self, value: int) -> list[int | None]:
        """Return the sum."""
        return [value + self.amount]

    def process(self, task: Number) -> Number:
        """Return what becomes of one task."""
        return self.process_batch([task])[0]

    def process_batch(self, tasks: list[Number]) -> list[Any]:
        """Return as many tasks as came."""
        if self.journal is not None:
            self.journal.note("batch", len(tasks))
        return [Number(task.dataset_name, task.data + self.amount) for task in tasks]


class BatchKeep(Modelled):
    """Drops what is divisible by a number, a batch at a time, each in its place."""

    name = "batch_keep"

    def __init__(self, divisor: int = 3, batch_size: int | None = 4) -> None:
        self.divisor = divisor
        self.batch_size = batch_size

    def model(self, value: int) -> list[int | None]:
        """Return the number, or an empty slot."""
        return [value if value % self.divisor else None]

    def process(self, task: Number) -> Number | None:
        """Return what becomes of one task."""
        return self.process_batch([task])[0]

    def process_batch(self, tasks: list[Number]) -> list[Any]:
        """Return tasks and `None`, position by position."""
        return [task if task.data % self.divisor else None for task in tasks]


class GroupSum(ProcessingStage[Number, Number]):
    """Makes one task of a batch: its sum."""

    name = "group_sum"

    def __init__(self, batch_size: int = 5) -> None:
        self.batch_size = batch_size

    def process(self, task: Number) -> Number:
        """Return the task: its own sum."""
        return task

    def process_batch(self, tasks: list[Number]) -> list[Number]:
        """Return one task for all."""
        return [Number("sum", sum(task.data for task in tasks))]


class CollectAll(ProcessingStage[Number, Number]):
    """A barrier: sees the whole stream at once and numbers it."""

    name = "collect_all"
    topology = Topology.BARRIER

    def __init__(self, journal: Journal | None = None) -> None:
        self.journal = journal

    def process(self, task: Number) -> Number:
        """Never called: a barrier gets batches."""
        raise RuntimeError(task)

    def process_batch(self, tasks: list[Number]) -> list[Number]:
        """Add its position to every number."""
        if self.journal is not None:
            self.journal.note("all", len(tasks))
        return [Number("all", task.data * 1000 + position) for position, task in enumerate(tasks)]


class Count(ProcessingStage[EmptyTask, Number]):
    """A source: counts up to a number.

    Args:
        upto: How many tasks.
        lazily: Whether they come from an iterator.
        content_ids: Whether they have content ids.
    """

    name = "count"

    def __init__(self, upto: int, *, lazily: bool = False, content_ids: bool = False) -> None:
        self.upto, self.lazily, self.content_ids = upto, lazily, content_ids

    def process(self, task: EmptyTask) -> list[Number] | Iterator[Number]:
        """Return the numbers."""
        tasks = (Number("count", n, content_id=f"c{n}" if self.content_ids else None) for n in range(self.upto))
        return tasks if self.lazily else list(tasks)


class Journaling(ProcessingStage[Number, Number]):
    """Notes every call of its life-cycle."""

    name = "journaling"

    def __init__(self, journal: Journal, name: str = "journaling", *, fail_in: str = "") -> None:
        self.journal, self.name, self.fail_in = journal, name, fail_in

    def setup_on_node(self, node_info: NodeInfo | None = None, worker_metadata: WorkerMetadata | None = None) -> None:
        """Note it."""
        self._step("setup_on_node")

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Note it."""
        self._step("setup")

    def process(self, task: Number) -> Number:
        """Note it and the number."""
        self._step("process", task.data)
        return task

    def teardown(self) -> None:
        """Note it."""
        self._step("teardown")

    def _step(self, step: str, *more: object) -> None:
        self.journal.note(self.name, step, *more)
        if self.fail_in == step:
            message = f"told to fail in {step}"
            raise RuntimeError(message)


class Scripted(ProcessingStage[Number, Number]):
    """Does to chosen numbers what a script says, and passes on the others.

    Args:
        script: By number: ``"drop"``, ``"drop:<reason>"``, ``"fail"`` (returns `FailedTask`), ``"raise:<builtin error>"``,
            ``"exit"`` (`SystemExit`), ``"transient:<n>"`` (raises `TransientError` on the first n attempts), ``"wrong"``
            (returns something that is no task), ``"twice"`` (returns the same object twice).
        batch_size: With a number, the stage works on batches, and a batch does what its worst member says.
    """

    name = "scripted"

    def __init__(self, script: dict[int, str], batch_size: int | None = None) -> None:
        self.script = script
        self.batch_size = batch_size or 1
        self.works_on_batches = batch_size is not None
        self._attempts: dict[int, int] = {}

    def supports_batch_processing(self) -> bool:
        """Say whether a batch size was given."""
        return self.works_on_batches

    def process(self, task: Number) -> Any:
        """Do what the script says."""
        action, _, detail = self.script.get(task.data, "pass").partition(":")
        return getattr(self, f"_do_{action}")(task, detail)

    def process_batch(self, tasks: list[Number]) -> list[Any]:
        """Do what the script says to each, all or nothing."""
        return [self.process(task) for task in tasks]

    def _do_pass(self, task: Number, _detail: str) -> Number:
        return task

    def _do_drop(self, task: Number, detail: str) -> NoneTask | None:
        return NoneTask(reason=detail) if detail else None

    def _do_fail(self, task: Number, detail: str) -> FailedTask:
        return FailedTask(reason=detail or "scripted")

    def _do_raise(self, task: Number, detail: str) -> Number:
        import builtins

        message = f"scripted for {task.data}"
        raise getattr(builtins, detail or "ValueError")(message)

    def _do_exit(self, task: Number, _detail: str) -> Number:
        raise SystemExit(3)

    def _do_transient(self, task: Number, detail: str) -> Number:
        tried = self._attempts[task.data] = self._attempts.get(task.data, 0) + 1
        if tried <= int(detail or 1):
            message = f"attempt {tried} of {task.data}"
            raise TransientError(message)
        return task

    def _do_wrong(self, task: Number, _detail: str) -> int:
        return task.data

    def _do_twice(self, task: Number, _detail: str) -> list[Number]:
        return [task, task]
