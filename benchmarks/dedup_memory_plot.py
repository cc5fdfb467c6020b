"""Make `benchmarks/dedup_memory.svg`: memory over time of fuzzy deduplication of 1, 2, 4 and 8 million documents with a budget of 2 GB.

Run from the root of the repository: ``.venv/bin/python -m benchmarks.dedup_memory_plot [COUNT ...]``. Needs matplotlib, which no extra brings.
What is drawn is the same as in `memory_plot`.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from benchmarks.entries.dedup_memory import COUNTS, MEMORY_GB, RESULTS, command
from benchmarks.memory_plot import draw, watch

PICTURE = Path(__file__).parent / "dedup_memory.svg"


def main() -> None:
    """Run every size, one after the other, and draw all."""
    lines = {}
    for count in map(int, sys.argv[1:] or COUNTS):
        out = RESULTS / str(count)
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        lines[f"{count / 1e6:g} million"] = watch(command(count, out))
        shutil.rmtree(out)
    title = f"fuzzy deduplication of documents of 10 to 60 words, memory_gb={MEMORY_GB}, 2 workers"
    draw(PICTURE, title, lines, MEMORY_GB)
    print(json.dumps({name: [max(megabytes), seconds[-1]] for name, (seconds, megabytes) in lines.items()}))


if __name__ == "__main__":
    main()
