"""What this process may use of the machine: affinity, cgroup quota and memory limit, SLURM; and where that was read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Machine", "detect_machine"]


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


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _physical_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _cgroup_files(root: Path, controller: str, name: str) -> list[Path]:
    """Return the files of that name from this process's cgroup up to the root of the hierarchy, v2 and v1."""
    found: list[Path] = []
    for line in _read(root / "proc/self/cgroup").splitlines():
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
    for file in _cgroup_files(root, "cpu", "cpu.max"):
        quota, period = [*_read(file).split(), "", ""][:2]
        if quota.isdigit() and period.isdigit():
            quotas.append(int(quota) / int(period))
    for file in _cgroup_files(root, "cpu", "cpu.cfs_quota_us"):
        quota, period = _read(file).strip(), _read(file.with_name("cpu.cfs_period_us")).strip()
        if quota.isdigit() and period.isdigit():
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def _memory_limit(root: Path) -> int | None:
    names = (("memory", "memory.max"), ("memory", "memory.limit_in_bytes"))
    texts = [_read(file).strip() for controller, name in names for file in _cgroup_files(root, controller, name)]
    # Version 1 says "no limit" with a number near 2**63.
    sizes = [int(text) for text in texts if text.isdigit() and int(text) < 1 << 60]
    return min(sizes, default=None)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
