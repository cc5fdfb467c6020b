"""What this process may use, read from pretended machines."""

from __future__ import annotations

from pathlib import Path

from nemo_curator.engine.machine import detect_machine


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_cgroup_v2_quota_counts(tmp_path: Path) -> None:
    root = _write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/pod/box\n",
            "sys/fs/cgroup/pod/cpu.max": "50000 100000\n",
            "sys/fs/cgroup/pod/box/cpu.max": "max 100000\n",
        },
    )
    machine = detect_machine(root=root, environ={})
    assert (machine.cpus, machine.cpus_from) == (0.5, "cgroup quota")


def test_a_cgroup_v2_quota_at_the_root_of_a_container_counts(tmp_path: Path) -> None:
    root = _write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "25000 100000\n"})
    assert detect_machine(root=root, environ={}).cpus == 0.25


def test_a_cgroup_v1_quota_counts(tmp_path: Path) -> None:
    root = _write(
        tmp_path,
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/box\n5:memory:/box\n",
            "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us": "75000",
            "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "1048576",
        },
    )
    machine = detect_machine(root=root, environ={})
    assert machine.cpus == 0.75
    assert (machine.memory_bytes, machine.memory_from) == (1048576, "cgroup limit")


def test_no_quota_leaves_the_affinity(tmp_path: Path) -> None:
    root = _write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/cpu.max": "max 100000\n",
            "sys/fs/cgroup/memory.max": "max\n",
        },
    )
    machine = detect_machine(root=root, environ={})
    assert machine.cpus >= 1
    assert machine.cpus_from == "CPU affinity"
    assert machine.memory_from == "physical memory"


def test_slurm_says_what_a_job_has(tmp_path: Path) -> None:
    machine = detect_machine(root=tmp_path, environ={"SLURM_CPUS_ON_NODE": "1"})
    assert (machine.cpus, machine.cpus_from) in {(1.0, "SLURM"), (1.0, "CPU affinity")}


def test_the_machine_this_runs_on() -> None:
    machine = detect_machine()
    assert machine.cpus > 0
    assert machine.memory_bytes is None or machine.memory_bytes > 1 << 20
