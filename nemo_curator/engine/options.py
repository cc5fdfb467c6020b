"""What a run may be told, typed and checked where it is said; nobody reads a dictionary of magic keys later."""

from __future__ import annotations

import math
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self, Union, cast, get_args, get_origin, get_type_hints

from nemo_curator.errors import OptionError, did_you_mean
from nemo_curator.stages.retries import MOST_ATTEMPTS

__all__ = ["Options", "RunOptions"]

OnError = Literal["fail", "quarantine"]
OnStall = Literal["report", "abort"]

_WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "text", type(None): "None"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Base of option classes: made from a mapping, unknown keys refused with the nearest known one."""

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all options."""
        return [field.name for field in fields(cls)]

    @classmethod
    def parse(cls, given: Mapping[str, Any], *, where: str, others: Iterable[str] = ()) -> Self:
        """Return the options in `given`.

        Args:
            given: Values by name.
            where: Who was given them, for messages: ``"LocalExecutor"``.
            others: Names that somebody else reads, for messages.

        Raises:
            OptionError: A key that nobody reads, or a value of the wrong kind.
        """
        known = cls.names()
        for key in given:
            if key not in known:
                words = sorted({*known, *others})
                message = f"{where} has no option {key!r}; it has: {', '.join(words)}.{did_you_mean(key, words)}"
                raise OptionError(message)
        try:
            return cls(**given)
        except OptionError as error:
            message = f"{where}: {error}"
            raise OptionError(message) from None

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for name in self.names():
            wanted = hints[name]
            self._require(name, holds=_fits(getattr(self, name), wanted), wanted=_in_words(wanted))

    def _require(self, name: str, *, holds: bool, wanted: str) -> None:
        if not holds:
            message = f"{name} must be {wanted}; got {getattr(self, name)!r}"
            raise OptionError(message)

    def _require_positive(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            self._require(name, holds=isinstance(value, (int, float)) and value > 0, wanted="a number above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions(Options):
    """How a run behaves; the same words and meaning on every backend.

    Attributes:
        fuse: Let adjacent stages run together in one worker.
        on_error: ``"fail"``: the first task that is given up ends the run. ``"quarantine"``: it is recorded, the run goes on.
        max_failures: With ``"quarantine"``, how many tasks may be given up before the run ends; `None` for any number.
        max_attempts: Attempts for a task whose error does not say whether trying again helps. 1: no second attempt.
        transient_attempts: Attempts for a task that raises `TransientError`.
        retry_backoff_s: Seconds before the second attempt; doubled before each further one. Chance takes off up to a half, so that
            workers that failed together do not come back together.
        retry_max_backoff_s: The longest such pause.
        retry_reserve: Further attempts that a stage may make in one worker, whatever their share.
        retry_share: Beyond those, the share of its calls that may be further attempts.
        preserve_order: Outputs come in the order of inputs, and stages see their stream in that order.
        return_outputs: Bring the last stage's tasks back. Off, a run returns an empty list and holds none of them.
        bundle_seconds: Work that a bundle aims at.
        bundle_bytes: Size at which a bundle is cut; a quarter of `edge_bytes` if that is less.
        edge_bytes: Bytes that may wait between two segments before the one that makes them is held back.
        teardown_timeout_s: Seconds that a worker gets for its stages' `teardown`.
        crash_attempts: Workers that a task may cost before it is given up: attempts for one that crashes its worker. As many may
            die while they start or set a stage up before the run ends.
        setup_timeout_s: Seconds that a worker gets to set a segment up; `None` for any time.
        stall_timeout_s: Seconds without any progress after which a report says what waits for what, with the Python stack of
            every worker; `None` for no such report.
        on_stall: ``"report"``: the run goes on waiting. ``"abort"``: it ends.
        quarantine_path: Folder, or any fsspec URL, where tasks are kept that were given up, ready to be run again alone. `None`:
            the report has the errors, nobody has the tasks.
    """

    fuse: bool = True
    on_error: OnError = "fail"
    max_failures: int | None = None
    max_attempts: int = 1
    transient_attempts: int = 3
    retry_backoff_s: float = 0.1
    retry_max_backoff_s: float = 10.0
    retry_reserve: int = 100
    retry_share: float = 0.2
    preserve_order: bool = False
    return_outputs: bool = True
    bundle_seconds: float = 0.1
    bundle_bytes: int = 32 * 1024**2
    edge_bytes: int = 256 * 1024**2
    teardown_timeout_s: float = 10.0
    crash_attempts: int = 3
    setup_timeout_s: float | None = None
    stall_timeout_s: float | None = 300.0
    on_stall: OnStall = "report"
    quarantine_path: str | None = None

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        self._require_positive("max_attempts", "transient_attempts", "bundle_seconds", "bundle_bytes", "edge_bytes")
        self._require_positive("teardown_timeout_s")
        for name in ("max_attempts", "transient_attempts"):
            self._require(name, holds=getattr(self, name) <= MOST_ATTEMPTS, wanted=f"a number up to {MOST_ATTEMPTS}")
        for name in ("retry_backoff_s", "retry_max_backoff_s", "retry_reserve"):
            self._require(name, holds=getattr(self, name) >= 0, wanted="a number from 0")
        self._require("retry_share", holds=0 <= self.retry_share <= 1, wanted="a number from 0 to 1")
        limit = self.max_failures
        self._require("max_failures", holds=limit is None or limit >= 0, wanted="a number from 0, or None")
        # The first death shows where, another one shows who.
        self._require("crash_attempts", holds=self.crash_attempts >= 2, wanted="a number from 2")
        for name in ("setup_timeout_s", "stall_timeout_s"):
            if getattr(self, name) is not None:
                self._require_positive(name)

    @property
    def piece_bytes(self) -> int:
        """Size at which bundles and pieces of outputs are cut. They cross whole, so they are small beside what may wait."""
        return min(self.bundle_bytes, max(self.edge_bytes // 4, 1))


def _fits(value: object, hint: Any) -> bool:
    """Say whether a value is of a type that options have."""
    origin = get_origin(hint)
    if origin is Literal:
        return value in get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in get_args(hint))
    if origin is dict:
        return isinstance(value, dict)
    if origin in (list, tuple):
        return isinstance(value, origin) and all(
            _fits(member, get_args(hint)[0]) for member in cast("list[object]", value)
        )
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _in_words(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is Literal:
        return "one of " + ", ".join(repr(choice) for choice in get_args(hint))
    if origin in (Union, types.UnionType):
        return ", or ".join(_in_words(part) for part in get_args(hint))
    if origin is dict:
        return "a dictionary"
    if origin in (list, tuple):
        return f"a {origin.__name__} of {_WORDS[get_args(hint)[0]]}"
    return _WORDS.get(hint, str(hint))
