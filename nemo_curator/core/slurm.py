"""What Slurm says about a job: its nodes, its ranks, and the file by which a head tells the others its port."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nemo_curator.core.ray_command import LOOPBACK
from nemo_curator.errors import OptionError

__all__ = ["SlurmJob", "count_from", "expand_nodelist", "node_names", "reachable_address"]

_GROUP = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True, slots=True)
class SlurmJob:
    """A job, as one of its ranks sees it.

    Attributes:
        job_id: Slurm's number of the job.
        nodes: Names of the nodes; the first one is the head.
        rank: Which of them this process is on.
        folder: Where the head leaves its port. All nodes must see it.
    """

    job_id: str
    nodes: tuple[str, ...]
    rank: int
    folder: Path

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> SlurmJob | None:
        """Return the job that an environment describes, or `None` outside of Slurm.

        Raises:
            OptionError: `SLURM_JOB_NODELIST` or `SLURM_NODEID` cannot be read.
        """
        job_id = environ.get("SLURM_JOB_ID")
        if not job_id:
            return None
        rank = environ.get("SLURM_NODEID", "0")
        if not rank.isdigit():
            message = f"SLURM_NODEID is {rank!r}, which is not the number of a node: start the program with srun"
            raise OptionError(message)
        nodes = node_names(environ.get("SLURM_JOB_NODELIST", "")) or (socket.gethostname(),)
        folder = environ.get("RAY_PORT_BROADCAST_DIR") or tempfile.gettempdir()
        return cls(job_id, nodes, int(rank), Path(folder))

    @property
    def port_file(self) -> Path:
        """The file that holds the head's port."""
        return self.folder / f"ray_head_port_{self.job_id}"

    def publish(self, port: int) -> None:
        """Tell the other ranks the head's port; they see the whole number or nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = self.port_file.with_name(f".{self.port_file.name}.{os.getpid()}")
        beside.write_text(f"{port}\n")
        beside.replace(self.port_file)

    def withdraw(self) -> None:
        """Remove the file, if it is there."""
        self.port_file.unlink(missing_ok=True)

    def published(self) -> int | None:
        """Return the head's port, or `None` as long as it has told none."""
        try:
            text = self.port_file.read_text().strip()
        except OSError:
            return None
        return int(text) if text.isdigit() else None


def count_from(environ: Mapping[str, str], variable: str) -> int | None:
    """Return the number that a variable holds, or `None` where it holds none."""
    text = environ.get(variable, "")
    return int(text) if text.isdigit() else None


def node_names(nodelist: str) -> tuple[str, ...]:
    """Return the nodes of a nodelist; by `scontrol` where there is one, and else by `expand_nodelist`."""
    program = shutil.which("scontrol")
    if nodelist and program is not None:
        command = [program, "show", "hostnames", nodelist]
        try:
            asked = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        except (OSError, subprocess.SubprocessError):
            return expand_nodelist(nodelist)
        if names := tuple(asked.stdout.split()):
            return names
    return expand_nodelist(nodelist)


def expand_nodelist(nodelist: str) -> tuple[str, ...]:
    """Return the nodes that a nodelist stands for: ``gpu[01-03,7],login`` is gpu01, gpu02, gpu03, gpu7 and login.

    Raises:
        OptionError: It cannot be read.
    """
    if re.search(r"\[[^\]]*(\[|$)|^[^\[]*\]|\][^\[,]*\]", nodelist):
        raise OptionError(_unreadable(nodelist))
    return tuple(name for part in _parts(nodelist) for name in _expand(part, nodelist))


def _parts(nodelist: str) -> Iterator[str]:
    """Yield what stands between the commas that are outside of brackets."""
    for part in re.split(r",(?![^\[]*\])", nodelist):
        if part.strip():
            yield part.strip()


def _expand(part: str, nodelist: str) -> Iterator[str]:
    group = _GROUP.search(part)
    if group is None:
        yield part
        return
    for number in group[1].split(","):
        for middle in _numbers(number.strip(), nodelist):
            # Further brackets stand behind this one.
            yield from _expand(part[: group.start()] + middle + part[group.end() :], nodelist)


def _numbers(text: str, nodelist: str) -> list[str]:
    first, dash, last = text.partition("-")
    if not first.isdigit() or (dash and not last.isdigit()) or (dash and int(last) < int(first)):
        raise OptionError(_unreadable(nodelist))
    return [str(number).zfill(len(first)) for number in range(int(first), int(last or first) + 1)]


def _unreadable(nodelist: str) -> str:
    return f"SLURM_JOB_NODELIST {nodelist!r} cannot be read: a list such as 'gpu[01-03,07],login' was expected"


def reachable_address(host: str) -> str:
    """Return an address of `host` that other nodes reach.

    A name that leads to loopback is this machine's own, as many distributions write it into ``/etc/hosts``; then it is the address
    of the interface that leads out. Without one, loopback.

    Raises:
        RuntimeError: The name cannot be resolved.
    """
    try:
        address = socket.gethostbyname(host)
    except OSError as error:
        message = f"the head node {host!r} has no address that this node knows ({error}): look at its name resolution"
        raise RuntimeError(message) from error
    return _outward() if address.startswith("127.") else address


def _outward() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: this only asks which interface would be used. The address is one for documentation.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return LOOPBACK
        return probe.getsockname()[0]
