"""The machine that numbers were measured on, in one line."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path

__all__ = ["machine_line"]

_GIB = 1024**3


def machine_line() -> str:
    """Return CPU model, cores, memory, Python and system. No name of the machine, nothing that identifies it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{_cpu_model()}, {cores} cores, {memory:.0f} GiB, {python}, {platform.system()} {platform.machine()}"


def _cpu_model() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown CPU"
