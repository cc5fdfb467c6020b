from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.core.folders import private_spill_dir, private_temp_dir
from nemo_curator.core.ray_command import (
    cluster_environment,
    find_ray,
    head_command,
    public_address,
    spilling_config,
    worker_command,
)
from nemo_curator.core.serve import is_inference_server_active
from nemo_curator.core.utils import check_ray_responsive, ignore_ray_head_node, split_table_by_group
from nemo_curator.errors import MissingExtra

pa = pytest.importorskip("pyarrow")


@pytest.mark.parametrize(
    "module", ["nemo_curator.core.client", "nemo_curator.core.utils", "nemo_curator.core.serve", "nemo_curator.core"]
)
def test_importing_brings_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*({{'ray', 'pyarrow', 'numpy', 'pandas', 'torch'}} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1", True),
        ("true", True),
        ("YES", True),
        (" True ", True),
        ("0", False),
        ("no", False),
        ("", False),
        ("2", False),
    ],
)
def test_the_head_node_is_left_alone_when_the_environment_says_so(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: bool
) -> None:
    monkeypatch.setenv("CURATOR_IGNORE_RAY_HEAD_NODE", value)
    assert ignore_ray_head_node() is expected


def test_the_head_node_is_used_by_default() -> None:
    assert ignore_ray_head_node() is False


def test_there_is_no_inference_server() -> None:
    assert is_inference_server_active() is False


def test_without_an_address_nothing_is_responsive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert check_ray_responsive(timeout_s=60) is False


def _stub(path: Path, code: str) -> Path:
    path.write_text(f"#!{sys.executable}\n{code}\n")
    path.chmod(0o755)
    return path


def test_ray_is_found_beside_the_interpreter_or_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreters, other = tmp_path / "bin", tmp_path / "other"
    interpreters.mkdir()
    other.mkdir()
    monkeypatch.setattr(sys, "executable", str(interpreters / "python"))
    monkeypatch.setenv("PATH", str(other))
    with pytest.raises(MissingExtra, match=r"pip install 'curator-backends\[ray\]'"):
        find_ray()
    on_path = shutil.copy(shutil.which("true", path="/usr/bin:/bin") or "", other / "ray")
    assert find_ray() == str(on_path)
    beside = _stub(interpreters / "ray", "")
    assert find_ray() == str(beside)


def test_the_environment_of_a_cluster_is_the_callers_and_a_little_more() -> None:
    given = {"PATH": "/bin", "RAY_ADDRESS": "elsewhere:1", "RAY_AUTH_MODE": "token"}
    made = cluster_environment(given, loopback=True, ports={"DASHBOARD_METRIC_PORT": 5})
    assert made == {
        "PATH": "/bin",
        "RAY_AUTH_MODE": "token",
        "RAY_MAX_LIMIT_FROM_API_SERVER": "40000",
        "RAY_MAX_LIMIT_FROM_DATA_SOURCE": "40000",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "DASHBOARD_METRIC_PORT": "5",
    }
    assert given["RAY_ADDRESS"] == "elsewhere:1"
    node = cluster_environment({})
    assert node["RAY_AUTH_MODE"] == "disabled"
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" not in node
    assert "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES" not in node


def test_addresses() -> None:
    assert public_address("127.0.0.1", 6379) == "LOCALHOST:6379"
    assert public_address("10.0.0.7", 6379) == "10.0.0.7:6379"


def test_the_config_for_spilling_is_json_in_json() -> None:
    config = json.loads(spilling_config('/tmp/a "folder"'))
    assert json.loads(config["object_spilling_config"]) == {
        "type": "filesystem",
        "params": {"directory_path": '/tmp/a "folder"'},
    }


def test_commands_say_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    ray = str(_stub(tmp_path / "ray", ""))
    head = head_command(
        node_ip="10.0.0.7",
        port=1111,
        temp_dir="/tmp/x",
        client_server_port=2222,
        metrics_port=3333,
        agent_port=4444,
        dashboard=None,
        num_cpus=0,
        num_gpus=2,
    )
    assert head[:3] == [ray, "start", "--head"]
    assert {"--block", "--disable-usage-stats", "--port=1111", "--num-cpus=0", "--num-gpus=2"} <= set(head)
    assert "--include-dashboard=False" in head
    assert not any(part.startswith(("--system-config", "--dashboard-host", "--object-store", "--min")) for part in head)
    worker = worker_command(address="h:1", temp_dir="/tmp/x", agent_port=1, metrics_port=2, object_store_memory=7)
    assert {"--address=h:1", "--block", "--object-store-memory=7"} <= set(worker)
    assert not any("--head" in part for part in worker)


def test_folders_are_private_and_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 60)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    spill, temp = Path(private_spill_dir()), Path(private_temp_dir())
    assert spill.parent == long / "ray_spill"
    assert len(str(temp)) < 40
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (spill, temp)] == [0o700, 0o700]
    temp.rmdir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_spill_folder_of_somebody_else_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "ray_spill").mkdir(mode=0o500)
    assert Path(private_spill_dir()).parent == tmp_path / f"ray_spill_{os.getuid()}"


def _groups(*tables: object) -> list[list[object]]:
    return [table["g"].to_pylist() for table in tables]  # type: ignore[index]


def test_tables_are_cut_where_groups_end() -> None:
    table = pa.table({"g": ["a", "a", "b", "c", "c", "c", "d"], "x": range(7)})
    cut = split_table_by_group(table, "g", max_batch_rows=3)
    assert _groups(*cut) == [["a", "a", "b"], ["c", "c", "c"], ["d"]]
    assert pa.concat_tables(cut).equals(table)


def test_a_group_that_is_too_large_stays_whole() -> None:
    table = pa.table({"g": [1, 2, 2, 2, 2, None, None]})
    assert _groups(*split_table_by_group(table, "g", max_batch_rows=2)) == [[1], [2, 2, 2, 2], [None, None]]


def test_a_group_that_is_scattered_stays_together() -> None:
    table = pa.table({"g": ["a", "b", "a", "c"]})
    assert _groups(*split_table_by_group(table, "g", max_batch_rows=1)) == [["a", "b", "a"], ["c"]]


def test_bytes_are_limited_too() -> None:
    table = pa.table({"g": [1, 1, 2, 3], "x": ["y" * 100] * 4})
    cut = split_table_by_group(table, "g", max_batch_bytes=250)
    assert _groups(*cut) == [[1, 1], [2, 3]]
    assert _groups(*split_table_by_group(table, "g", max_batch_bytes=1)) == [[1, 1], [2], [3]]


def test_without_limits_or_rows_there_is_one_table() -> None:
    table = pa.table({"g": [1, 2]})
    assert split_table_by_group(table, "g") == [table]
    assert split_table_by_group(table.slice(0, 0), "g", max_batch_rows=1) == [table.slice(0, 0)]


def test_what_cannot_be_cut_is_said() -> None:
    table = pa.table({"g": [1, 2]})
    with pytest.raises(ValueError, match=r"no column 'h' to group by; the columns are \['g'\]"):
        split_table_by_group(table, "h")
    with pytest.raises(ValueError, match="max_batch_rows is 0; a positive number or None was expected"):
        split_table_by_group(table, "g", max_batch_rows=0)


@given(st.lists(st.integers(0, 6), max_size=40), st.integers(1, 8))
def test_no_group_is_ever_in_two_tables(values: list[int], limit: int) -> None:
    table = pa.table({"g": pa.array(values, pa.int64()), "row": pa.array(range(len(values)), pa.int64())})
    cut = split_table_by_group(table, "g", max_batch_rows=limit)
    assert pa.concat_tables(cut).equals(table)
    seen: set[int] = set()
    for part in cut:
        groups = set(part["g"].to_pylist())
        assert not groups & seen
        seen |= groups
    if values == sorted(values):
        assert all(part.num_rows <= limit or len(set(part["g"].to_pylist())) == 1 for part in cut)
