"""Environments of their own for alternatives, made on demand, so that nothing of theirs gets into ours."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from benchmarks.corpus import OUT

__all__ = ["Unavailable", "python_with"]


class Unavailable(RuntimeError):
    """The environment cannot be made here; the message says why."""


def python_with(name: str, *requirements: str, first: Sequence[str] = ()) -> Path:
    """Return the interpreter of ``out/venv-<name>``, which has these requirements; it is made once.

    Args:
        name: Of the environment.
        requirements: For pip.
        first: Installed before them, by itself: what they shall find there, instead of choosing.

    Raises:
        Unavailable: They could not be installed.
    """
    folder = OUT / f"venv-{name}"
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    steps = [list(step) for step in (first, requirements) if step]
    wanted = "\n".join(word for step in steps for word in step)
    if ready.exists() and ready.read_text() == wanted:
        return python
    print(f"  installing {', '.join(requirements)} into {folder.name} (once)", file=sys.stderr, flush=True)
    venv.create(folder, clear=True, with_pip=True)
    for step in steps:
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *step]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise Unavailable(f"{', '.join(step)} cannot be installed: {' '.join(errors[-1:])}")
    ready.write_text(wanted)
    return python
