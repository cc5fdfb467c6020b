"""Environments of their own for alternatives, made on demand, so that nothing of theirs gets into ours."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.corpus import OUT

__all__ = ["Unavailable", "python_with"]


class Unavailable(RuntimeError):
    """The environment cannot be made here; the message says why."""


def python_with(name: str, *requirements: str) -> Path:
    """Return the interpreter of ``out/venv-<name>``, which has these requirements; it is made once.

    Raises:
        Unavailable: They could not be installed.
    """
    folder = OUT / f"venv-{name}"
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    wanted = "\n".join(requirements)
    if ready.exists() and ready.read_text() == wanted:
        return python
    print(f"  installing {', '.join(requirements)} into {folder.name} (once)", file=sys.stderr, flush=True)
    venv.create(folder, clear=True, with_pip=True)
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise Unavailable(f"{', '.join(requirements)} cannot be installed: {' '.join(errors[-1:])}")
    ready.write_text(wanted)
    return python
