"""What a stage would do, in a few bytes: its parameters and its code. Two runs with the same fingerprints make the same of a source.

Code is what runs, not how it is laid out: byte code and constants of a class, of its bases and of the functions and classes beside it
that it names, but no comments and no line numbers. What was installed as a package stands for itself with the class's own code. Byte code
differs between versions of Python, so another Python does everything anew.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import hashlib
import os
import pickle
import sys
import sysconfig
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from nemo_curator.engine.plan import ExecutionPlan, PlannedStage
from nemo_curator.stages.base import ProcessingStage, Topology

__all__ = ["StageFingerprint", "changes", "digest_of", "fingerprints"]

_BYTES = 12
# How a stage is run says nothing about what comes of it.
_NOT_PARAMETERS = {
    *("name", "resources", "batch_size", "runtime_env", "is_sink_stage", "timeout_s", "retries"),
    *("num_workers", "num_workers_per_node", "xenna_stage_spec", "ray_stage_spec"),
}
_SITE = tuple(
    os.path.realpath(folder) + os.sep
    for folder in {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


@dataclass(frozen=True, slots=True)
class StageFingerprint:
    """One stage.

    Attributes:
        name: The stage's name.
        parts: Digests by what they are of: ``code``, ``batch size``, and every parameter by its name.
    """

    name: str
    parts: dict[str, str]


def fingerprints(plan: ExecutionPlan) -> list[StageFingerprint]:
    """Return the fingerprints of what sources pass through: all stages after the one that makes them.

    What makes sources is not among them: what it makes has a name and a state of its own.
    """
    first = next(stage.index for stage in plan.stages if stage.is_source) + 1
    return [_of_stage(stage) for stage in plan.stages[first:]]


def digest_of(value: object) -> str:
    """Return a digest of anything, the same in every process for what is equal."""
    return _Digest().of(value)


def changes(before: list[StageFingerprint], now: list[StageFingerprint]) -> list[str]:
    """Return in words what differs between two lists of fingerprints; nothing if they are the same."""
    names, others = [stage.name for stage in now], [stage.name for stage in before]
    found = [f"stage {name!r} is new" for name in names if name not in others]
    found += [f"stage {name!r} is gone" for name in others if name not in names]
    if not found and names != others:
        found.append(f"stages come in another order: {', '.join(names)}")
    known = {stage.name: stage.parts for stage in before}
    for stage in now:
        parts = known.get(stage.name, stage.parts)
        differing = [part for part in sorted({*parts, *stage.parts}) if parts.get(part) != stage.parts.get(part)]
        if differing:
            found.append(f"stage {stage.name!r} changed: {', '.join(differing)}")
    return found


def _of_stage(planned: PlannedStage) -> StageFingerprint:
    stage = planned.stage
    parts = {"code": digest_of(type(stage))}
    if planned.topology is Topology.BARRIER or stage.supports_batch_processing():
        parts["batch size"] = digest_of(planned.batch_size)
    for name, value in _state_of(stage).items():
        if name not in _NOT_PARAMETERS:
            parts[name] = digest_of(value)
    return StageFingerprint(planned.name, parts)


def _state_of(value: object) -> dict[str, Any]:
    """Return the attributes that say what an object is: of a class that says what of it travels, these; what it has loaded is not among them."""
    told = _told_by(value)
    return _attributes_of(value) if told is None else told


def _attributes_of(value: object) -> dict[str, Any]:
    state = dict(vars(value)) if hasattr(value, "__dict__") else {}
    for base in type(value).__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                state[name] = getattr(value, name)
    return state


def _told_by(value: object) -> dict[str, Any] | None:
    """Return what the `__getstate__` of an object's own class says, if it has one."""
    own_way: Any = getattr(type(value), "__getstate__", None)
    if own_way is not None and own_way is not getattr(object, "__getstate__", None):
        with contextlib.suppress(Exception):  # whatever it raises; then everything counts
            told = own_way(value)
            if isinstance(told, dict):
                return cast("dict[str, Any]", told)
    return None


class _Digest:
    """Digests one value. What it has seen already, as in a list that holds itself, is told by its place."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        # Ids stay valid as long as their objects live.
        self._kept: list[object] = []

    def of(self, value: object) -> str:
        """Return the digest in hexadecimal."""
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
            return _hash(type(value).__name__, repr(value))
        place = self._seen.get(id(value))
        if place is not None:
            return _hash("seen", str(place))
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        return _hash(type(value).__qualname__, *self._parts(value))

    def _parts(self, value: Any) -> Iterator[str]:
        if isinstance(value, (list, tuple)):
            yield from (self.of(member) for member in cast("list[Any]", value))
        elif isinstance(value, (set, frozenset)):
            yield from sorted(_Digest().of(member) for member in cast("set[Any]", value))
        elif isinstance(value, Mapping):
            pairs = cast("Mapping[Any, Any]", value).items()
            yield from sorted(_Digest().of(key) + self.of(member) for key, member in pairs)
        elif isinstance(value, enum.Enum):
            yield from (_name_of(type(value)), value.name)
        elif isinstance(value, os.PathLike):
            yield os.fsdecode(cast("os.PathLike[str]", value))
        elif isinstance(value, functools.partial):
            yield from (self.of(part) for part in (value.func, value.args, value.keywords))
        elif isinstance(value, types.ModuleType):
            yield from (value.__name__, str(getattr(value, "__version__", "")))
        elif isinstance(value, type):
            yield from self._of_class(value)
        elif isinstance(value, (types.FunctionType, types.MethodType)):
            yield from self._of_function(value)
        else:
            yield from self._of_object(value)

    def _of_class(self, value: type) -> Iterator[str]:
        yield _name_of(value)
        for base in value.__mro__:
            if base is object or base is ProcessingStage or not _is_own(base.__module__):
                continue
            for name, member in sorted(vars(base).items()):
                if (
                    name.startswith("__")
                    and not callable(member)
                    and not isinstance(member, (staticmethod, classmethod))
                ):
                    continue
                yield from (name, self._of_member(member))

    def _of_member(self, member: Any) -> str:
        if isinstance(member, (staticmethod, classmethod)):
            return self.of(cast("Any", member).__func__)
        if isinstance(member, property):
            return self.of((member.fget, member.fset))
        if isinstance(member, (types.MemberDescriptorType, types.GetSetDescriptorType)):
            return _hash("slot")
        return self.of(member)

    def _of_function(self, value: Any) -> Iterator[str]:
        function = value.__func__ if isinstance(value, types.MethodType) else value
        yield _name_of(function)
        if not _is_own(function.__module__):
            return
        yield from self._of_code(function.__code__, function.__globals__, function.__module__)
        yield self.of((function.__defaults__, function.__kwdefaults__))
        for cell in function.__closure__ or ():
            yield self.of(cell.cell_contents) if _filled(cell) else ""
        if isinstance(value, types.MethodType):
            yield self.of(value.__self__)

    def _of_code(self, code: types.CodeType, names: dict[str, Any], module: str | None) -> Iterator[str]:
        yield code.co_code.hex()
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                yield from self._of_code(constant, names, module)
            else:
                yield self.of(constant)
        for name in code.co_names:
            yield name
            # What stands beside it, and plain values it reads; what it takes from elsewhere is told by its name.
            value: Any = names.get(name)
            beside = getattr(value, "__module__", None) == module and isinstance(value, (type, types.FunctionType))
            if beside or isinstance(value, (bool, int, float, str, bytes, tuple, frozenset)):
                yield self.of(cast("Any", value))

    def _of_object(self, value: Any) -> Iterator[str]:
        yield self.of(cast("Any", type(value)))
        told = _told_by(value)
        if told is not None:
            yield self.of(told)
            return
        state = _attributes_of(value)
        if state and type(value).__reduce_ex__ is object.__reduce_ex__ and type(value).__reduce__ is object.__reduce__:
            yield self.of(state)
            return
        try:
            yield hashlib.blake2b(pickle.dumps(value, protocol=4), digest_size=_BYTES).hexdigest()
        except Exception:  # whatever pickling raises; its kind is all there is to see
            yield "opaque"


def _filled(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


@functools.cache
def _is_own(module: str | None) -> bool:
    """Say whether a module is somebody's own code, which may change from run to run, or ours; not of an installed package."""
    if module is None or module.partition(".")[0] in sys.builtin_module_names:
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is None or module.partition(".")[0] == "nemo_curator" or not os.path.realpath(file).startswith(_SITE)


def _name_of(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _hash(*parts: str) -> str:
    digest = hashlib.blake2b(digest_size=_BYTES)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()
