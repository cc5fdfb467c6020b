"""What this process may use of the machine: affinity, cgroup quota and memory limit, SLURM; and where that was read."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Machine", "cgroup_files", "detect_machine", "read_text", "visible_gpus"]


@dataclass(frozen=True, slots=True)
class Machine:
    """Resources of this process.

    Attributes:
        cpus: CPUs; a cgroup quota may be a fraction.
        cpus_from: What set that number.
        memory_bytes: Memory limit; `None` if unknown.
        memory_from: What set that number.
    """

    cpus: float
    cpus_from: str
    memory_bytes: int | None
    memory_from: str


def detect_machine(*, root: Path = Path("/"), environ: Mapping[str, str] | None = None) -> Machine:
    """Return what this process may use: the smallest of all limits that are set.

    Args:
        root: Where the file system starts; tests give another.
        environ: Environment to read SLURM's variables from; this process's own when not given.
    """
    environ = os.environ if environ is None else environ
    limits = [(float(_affinity()), "CPU affinity")]
    limits += [(quota, "cgroup quota") for quota in (_cpu_quota(root),) if quota]
    slurm = environ.get("SLURM_CPUS_PER_TASK") or environ.get("SLURM_CPUS_ON_NODE", "")
    if slurm.isdigit() and int(slurm) > 0:
        limits.append((float(slurm), "SLURM"))
    cpus, cpus_from = min(limits)
    memories = [(_physical_memory(), "physical memory"), (_memory_limit(root), "cgroup limit")]
    known = [(size, source) for size, source in memories if size]
    memory, memory_from = min(known) if known else (None, "unknown")
    return Machine(cpus, cpus_from, memory, memory_from)


def visible_gpus(*, root: Path = Path("/"), environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return the GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them: what that says, or SLURM, or the driver.

    Args:
        root: Where the file system starts; tests give another.
        environ: Environment; this process's own when not given.
    """
    environ = os.environ if environ is None else environ
    listed = environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        # CUDA takes the list up to the first entry that is none.
        names = [name.strip() for name in listed.split(",")]
        return tuple(itertools.takewhile(lambda name: name not in ("", "-1", "NoDevFiles"), names))
    for variable in ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "GPU_DEVICE_ORDINAL"):
        if environ.get(variable):
            return tuple(_numbers(environ[variable]))
    try:
        folders = [entry for entry in (root / "proc/driver/nvidia/gpus").iterdir() if entry.is_dir()]
    except OSError:
        return ()
    return tuple(str(number) for number in range(len(folders)))


def _numbers(text: str) -> Iterator[str]:
    """Yield the members of a list with ranges: ``0,2-4``."""
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if dash and first.isdigit() and last.isdigit():
            yield from map(str, range(int(first), int(last) + 1))
        elif first:
            yield part.strip()


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _physical_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def cgroup_files(root: Path, controller: str, name: str) -> list[Path]:
    """Return the files of that name from this process's cgroup up to the root of the hierarchy, v2 and v1."""
    found: list[Path] = []
    for line in read_text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0" and not controllers:
            base = root / "sys/fs/cgroup"
        elif controller in controllers.split(","):
            base = root / "sys/fs/cgroup" / controllers
        else:
            continue
        here = Path(path.lstrip("/"))
        found += [base / folder / name for folder in (here, *here.parents)]
    return found


def _cpu_quota(root: Path) -> float | None:
    quotas: list[float] = []
    for file in cgroup_files(root, "cpu", "cpu.max"):
        quota, period = [*read_text(file).split(), "", ""][:2]
        if quota.isdigit() and period.isdigit():
            quotas.append(int(quota) / int(period))
    for file in cgroup_files(root, "cpu", "cpu.cfs_quota_us"):
        quota, period = read_text(file).strip(), read_text(file.with_name("cpu.cfs_period_us")).strip()
        if quota.isdigit() and period.isdigit():
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def _memory_limit(root: Path) -> int | None:
    names = (("memory", "memory.max"), ("memory", "memory.limit_in_bytes"))
    texts = [read_text(file).strip() for controller, name in names for file in cgroup_files(root, controller, name)]
    # Version 1 says "no limit" with a number near 2**63.
    sizes = [int(text) for text in texts if text.isdigit() and int(text) < 1 << 60]
    return min(sizes, default=None)


def read_text(path: Path) -> str:
    """Return a file's text; nothing where it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return ""
