"""What the kernel says about the memory of processes. Readings only; who decides is `engine.guard`."""

from __future__ import annotations

import os
from pathlib import Path

from nemo_curator.engine.machine import cgroup_files, read_text

__all__ = ["oom_kills", "private_bytes", "process_state"]

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "waiting for a disk",
    "T": "stopped",
    "t": "stopped",
    "Z": "zombie",
    "X": "dead",
}


def private_bytes(pid: int) -> int | None:
    """Return the bytes that are a process's own, without what it shares; `None` where that cannot be told."""
    fields = read_text(Path(f"/proc/{pid}/statm")).split()
    if len(fields) < 3:
        return None
    return (int(fields[1]) - int(fields[2])) * _PAGE


def process_state(pid: int) -> str:
    """Return what a process does, in a word; empty where that cannot be told."""
    # The command's name stands in parentheses and may hold any character.
    _, _, rest = read_text(Path(f"/proc/{pid}/stat")).rpartition(")")
    return _STATES.get(rest.strip()[:1], "")


def oom_kills(root: Path = Path("/")) -> int:
    """Return how many processes the kernel has killed in this process's cgroup as memory ran out; 0 where that is not told."""
    for name in ("memory.events", "memory.oom_control"):
        for file in cgroup_files(root, "memory", name):
            for line in read_text(file).splitlines():
                key, _, value = line.partition(" ")
                if key == "oom_kill" and value.strip().isdigit():
                    return int(value)
    return 0
