"""`Journal`: what happened in other processes, in a file."""

from __future__ import annotations

import os
import threading
from collections import Counter
from pathlib import Path

__all__ = ["Journal"]


class Journal:
    """Lines that any number of processes and threads append to one file.

    Args:
        path: The file; made when the first line is written.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def note(self, *words: object) -> None:
        """Append a line of words, with the process and thread that wrote it. Whole lines are appended at once."""
        line = " ".join([*map(str, words), f"@{os.getpid()}.{threading.get_ident()}"]) + "\n"
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(fd, line.encode())
        finally:
            os.close(fd)

    def lines(self) -> list[str]:
        """Return all lines without who wrote them, in order."""
        return [line.rsplit(" @", 1)[0] for line in self._raw()]

    def count(self, *words: object) -> int:
        """Return how often a line begins with these words."""
        start = " ".join(map(str, words))
        return sum(line == start or line.startswith(start + " ") for line in self.lines())

    def by_writer(self, *words: object) -> Counter[str]:
        """Return how often each process and thread wrote a line that begins with these words."""
        start = " ".join(map(str, words)) + " "
        return Counter(line.rsplit("@", 1)[1] for line in self._raw() if line.startswith(start))

    def _raw(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []
