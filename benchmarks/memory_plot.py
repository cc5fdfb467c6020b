"""Make `benchmarks/memory.svg`: memory over time of a producer 100 times faster than its consumer, under a budget of 1 GB.

Run from the root of the repository: ``.venv/bin/python -m benchmarks.memory_plot [COUNT]``. Needs matplotlib, which no extra brings.
What is drawn is all that the driver and its descendants have of their own, and what of the machine's shared memory has come with
them: payloads that wait between processes lie there, mapped by nobody.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import matplotlib as mpl
import psutil

from benchmarks.measure import ROOT, program

mpl.use("svg")
# The picture of the same numbers is the same file.
mpl.rcParams["svg.hashsalt"] = "memory"

from matplotlib import pyplot as plt  # noqa: E402 - after the choice of what it draws with

PICTURE = Path(__file__).parent / "memory.svg"
BUDGET_GB = 1.0
_MB = 1e6
_ROUND_SECONDS = 0.1


def main() -> None:
    """Run ours and a pool without back-pressure, and draw both."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 30_000
    ours = watch(program("pressure_pipeline", count, 2, 0, BUDGET_GB))
    unbounded = watch(program("pressure_pool", "futures", count, 2))
    draw(
        PICTURE,
        f"{count:,} payloads of 100 kB, consumer 100 times slower than producer, 2 workers",
        {"LocalExecutor(memory_gb=1)": ours, "ProcessPoolExecutor.map": unbounded},
        BUDGET_GB,
    )
    print(
        json.dumps({"ours": max(ours[1]), "unbounded": max(unbounded[1]), "seconds": [ours[0][-1], unbounded[0][-1]]})
    )


def draw(picture: Path, title: str, lines: dict[str, tuple[list[float], list[float]]], budget_gb: float) -> None:
    """Draw memory over time, as `watch` returns it, with a line at the budget."""
    figure, axes = plt.subplots(figsize=(8, 3.6))
    for name, (seconds, megabytes) in lines.items():
        axes.plot(seconds, megabytes, label=f"{name}: peak {max(megabytes):,.0f} MB")
    axes.axhline(budget_gb * 1024**3 / _MB, color="gray", linestyle="--", label="the budget")
    axes.set_xlabel("seconds")
    axes.set_ylabel("MB, driver and workers")
    axes.set_title(title)
    axes.legend()
    figure.tight_layout()
    figure.savefig(picture, metadata={"Date": None})


def watch(command: tuple[str, ...]) -> tuple[list[float], list[float]]:
    """Return seconds and the memory that a program and its descendants had by then, in MB."""
    seconds: list[float] = []
    megabytes: list[float] = []
    shared_before = _shared()
    start = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        total = _shared() - shared_before
        root = psutil.Process(process.pid)
        for member in (root, *root.children(recursive=True)):
            try:
                total += _own(member.pid)
            except OSError:
                continue
        seconds.append(time.monotonic() - start)
        megabytes.append(total / _MB)
        time.sleep(_ROUND_SECONDS)
    return seconds, megabytes


def _own(pid: int) -> int:
    """Return the bytes of a process without shared memory; pages of files that others map too count in parts."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Pss_Anon:", "Pss_File:")))


def _shared() -> int:
    """Return the bytes of shared memory of the whole machine."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Shmem:"))


if __name__ == "__main__":
    main()
