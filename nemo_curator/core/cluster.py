"""Ray as a child of this process: started, waited for, and ended, with nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from nemo_curator.core import keeper
from nemo_curator.core.ray_command import find_ray

__all__ = ["ask_status", "end", "start", "tail", "wait_until_up"]

# How long Ray may take to end by itself.
_GRACE_S = 5.0
_TAIL_BYTES = 4000
_PAUSE_S = 0.1
# Another version of Ray may note its address elsewhere; from then on it is only asked.
_MARK_S = 120.0


def start(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    output: BinaryIO | None,
    folders: Sequence[str] = (),
    descriptors: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a `ray start --block` command that does not outlive this process, however this ends.

    Args:
        command: The command and its arguments.
        environment: Its environment.
        output: Where stdout and stderr go; `None` for this process's own.
        folders: Removed when everything has ended.
        descriptors: Held open as long as it runs.

    Returns:
        The process that keeps it (`keeper`): leader of a session and process group of its own. `end` it.
    """
    # By its path and isolated: the caller's directory, path and environment have no say in what it imports.
    keep = [sys.executable, "-I", "-S", keeper.__file__, str(os.getpid()), str(_GRACE_S), *folders, "--"]
    return subprocess.Popen(
        [*keep, *command],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        pass_fds=tuple(descriptors),
        start_new_session=True,
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """End what `start` started. SIGTERM, after 5 s SIGKILL to all that is left; returns when everything is gone."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(timeout=3 * _GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()


def wait_until_up(
    process: subprocess.Popen[bytes],
    *,
    temp_dir: str,
    port: int,
    responsive: Callable[[float], bool],
    timeout_s: float,
) -> str | None:
    """Wait until a head node can be used; return what is wrong if it cannot, as the end of a sentence.

    Args:
        process: What `start` returned.
        temp_dir: Where Ray keeps its files.
        port: Port of the cluster.
        responsive: Asks the cluster itself, for so many seconds at most.
        timeout_s: Seconds for everything.
    """
    deadline = time.monotonic() + timeout_s
    marked = min(deadline, time.monotonic() + _MARK_S)
    # In slices, so that an early end is not waited out.
    while (left := deadline - time.monotonic()) > 0:
        if process.poll() is not None:
            return f"ended with code {process.returncode}"
        if not _is_complete(temp_dir, port) and time.monotonic() < marked:
            time.sleep(_PAUSE_S)
        elif responsive(min(left, 10.0)):
            return None
    return f"did not answer within {timeout_s:g} s"


def _is_complete(temp_dir: str, port: int) -> bool:
    """Return whether Ray has noted its address, which it does when the last of its processes runs, long after it answers."""
    try:
        noted = (Path(temp_dir) / "ray_current_cluster").read_text()
    except OSError:
        return False
    return noted.strip().endswith(f":{port}")


def ask_status(address: str, timeout_s: float, environ: Mapping[str, str] | None = None) -> bool:
    """Run `ray status` once, and return whether a cluster answered.

    Args:
        address: The cluster.
        timeout_s: Seconds after which it did not answer.
        environ: Environment to ask with; this process's own when not given.
    """
    try:
        asked = subprocess.run(
            [find_ray(), "status", f"--address={address}"],
            env=dict(os.environ if environ is None else environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


def tail(output: BinaryIO | str | os.PathLike[str]) -> str:
    """Return the end of what Ray said."""
    try:
        if isinstance(output, (str, os.PathLike)):
            said = Path(output).read_bytes()[-_TAIL_BYTES:]
        else:
            # Read beside the descriptor's position, which Ray shares.
            size = os.fstat(output.fileno()).st_size
            said = os.pread(output.fileno(), _TAIL_BYTES, max(0, size - _TAIL_BYTES))
    except OSError as error:
        return f"(its output cannot be read: {error})"
    return said.decode(errors="replace").strip() or "(it said nothing)"
