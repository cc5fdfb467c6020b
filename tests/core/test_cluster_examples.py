"""The files for Slurm and Kubernetes: no cluster here, so what can be checked without one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CLUSTERS = Path(__file__).parents[2] / "examples" / "clusters"
SBATCH = CLUSTERS / "slurm.sbatch"
KUBERAY = CLUSTERS / "kuberay.yaml"

BASH = shutil.which("bash") or "/bin/bash"

# Says how it was called, as Slurm's own would be.
STUB = """#!{python}
import json, os, sys
names = ("RAY_PORT_BROADCAST_DIR", "RAY_AUTH_MODE", "RAY_ADDRESS")
folder = os.environ.get("RAY_PORT_BROADCAST_DIR", "")
with open({log!r}, "a") as log:
    log.write(json.dumps([os.path.basename(sys.argv[0]), sys.argv[1:], {{n: os.environ.get(n) for n in names}}, os.path.isdir(folder)]))
    log.write("\\n")
sys.exit(int(os.environ.get("STUB_CODE", "0")) if os.path.basename(sys.argv[0]) == "srun" else 0)
"""


def _submit(tmp_path: Path, *arguments: str, **environment: str) -> tuple[int, list[list[Any]], str]:
    log = tmp_path / "log"
    for name in ("srun", "ray"):
        (tmp_path / name).write_text(STUB.format(python=sys.executable, log=str(log)))
        (tmp_path / name).chmod(0o755)
    given = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "SLURM_JOB_ID": "42",
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "RAY_ADDRESS": "old:1",
        **environment,
    }
    result = subprocess.run([BASH, str(SBATCH), *arguments], env=given, capture_output=True, text=True, timeout=60)
    calls = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return result.returncode, calls, result.stderr


def test_the_script_is_bash() -> None:
    subprocess.run([BASH, "-n", str(SBATCH)], check=True)


def test_the_script_asks_for_one_task_a_node() -> None:
    options = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", SBATCH.read_text(), re.MULTILINE))
    assert options["ntasks-per-node"] == "1"
    assert int(options["nodes"]) > 1
    assert {"cpus-per-task", "time", "output"} <= set(options)


def test_the_program_is_run_once_on_every_node(tmp_path: Path) -> None:
    code, calls, errors = _submit(tmp_path, "my program.py", "--input", "/data/a b", PYTHON="/opt/python")
    assert code == 0, errors
    shared = str(tmp_path / ".ray-42")
    seen = {"RAY_PORT_BROADCAST_DIR": shared, "RAY_AUTH_MODE": "token"}
    options = ["--ntasks-per-node=1", "--kill-on-bad-exit=1"]
    assert calls == [
        ["ray", ["get-auth-token", "--generate"], {**seen, "RAY_ADDRESS": "old:1"}, True],
        [
            "srun",
            [*options, "/opt/python", "my program.py", "--input", "/data/a b"],
            {**seen, "RAY_ADDRESS": None},
            True,
        ],
    ]
    assert not Path(shared).exists()


def test_the_exit_code_is_that_of_the_program(tmp_path: Path) -> None:
    assert _submit(tmp_path, "program.py", STUB_CODE="3")[0] == 3


def test_without_a_token_none_is_made(tmp_path: Path) -> None:
    _, calls, _ = _submit(tmp_path, "program.py", RAY_AUTH_MODE="disabled")
    assert [call[0] for call in calls] == ["srun"]


def test_without_a_program_there_is_a_sentence(tmp_path: Path) -> None:
    code, calls, errors = _submit(tmp_path)
    assert (code, calls) == (2, [])
    assert errors.startswith("usage: sbatch ")


_AMOUNTS = {
    "type": "object",
    "required": ["cpu", "memory"],
    "additionalProperties": False,
    "properties": {
        "cpu": {"type": "string", "pattern": r"^\d+m?$"},
        "memory": {"type": "string", "pattern": r"^\d+[MGT]i$"},
    },
}
_POD = {
    "type": "object",
    "required": ["spec"],
    "additionalProperties": False,
    "properties": {
        "spec": {
            "type": "object",
            "required": ["containers"],
            "additionalProperties": False,
            "properties": {
                "containers": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["name", "image", "resources"],
                        "additionalProperties": False,
                        "properties": {
                            "name": {"type": "string", "pattern": "^[a-z0-9-]+$"},
                            "image": {"type": "string", "pattern": r"^\S+:\S+$", "not": {"pattern": ":latest$"}},
                            "env": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "required": ["name", "value"],
                                    "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
                                },
                            },
                            "ports": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "required": ["name", "containerPort"],
                                    "properties": {"containerPort": {"type": "integer"}},
                                },
                            },
                            "resources": {
                                "type": "object",
                                "required": ["requests", "limits"],
                                "additionalProperties": False,
                                "properties": {"requests": _AMOUNTS, "limits": _AMOUNTS},
                            },
                            "volumeMounts": {
                                "type": "array",
                                "items": {"type": "object", "required": ["name", "mountPath"]},
                            },
                        },
                    },
                },
                "volumes": {"type": "array", "items": {"type": "object", "required": ["name"]}},
            },
        }
    },
}
# Kubernetes takes texts only: a bare 0 would be refused.
_START = {"type": "object", "additionalProperties": {"type": "string"}}
SCHEMA = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "additionalProperties": False,
    "properties": {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayJob"},
        "metadata": {"type": "object", "required": ["name"]},
        "spec": {
            "type": "object",
            "required": ["entrypoint", "rayClusterSpec"],
            "additionalProperties": False,
            "properties": {
                "entrypoint": {"type": "string"},
                "shutdownAfterJobFinishes": {"type": "boolean"},
                "ttlSecondsAfterFinished": {"type": "integer"},
                "rayClusterSpec": {
                    "type": "object",
                    "required": ["rayVersion", "headGroupSpec", "workerGroupSpecs"],
                    "additionalProperties": False,
                    "properties": {
                        "rayVersion": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
                        "headGroupSpec": {
                            "type": "object",
                            "required": ["rayStartParams", "template"],
                            "additionalProperties": False,
                            "properties": {"rayStartParams": _START, "template": _POD},
                        },
                        "workerGroupSpecs": {
                            "type": "array",
                            "minItems": 1,
                            "items": {
                                "type": "object",
                                "required": ["groupName", "replicas", "rayStartParams", "template"],
                                "additionalProperties": False,
                                "properties": {
                                    "groupName": {"type": "string"},
                                    "replicas": {"type": "integer", "minimum": 1},
                                    "minReplicas": {"type": "integer", "minimum": 0},
                                    "maxReplicas": {"type": "integer", "minimum": 1},
                                    "rayStartParams": _START,
                                    "template": _POD,
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    (document,) = yaml.safe_load_all(KUBERAY.read_text())
    return document


def test_the_manifest_has_the_shape_of_a_ray_job(manifest: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(manifest, SCHEMA)


def test_the_head_takes_jobs_and_no_stages(manifest: dict[str, Any]) -> None:
    head = manifest["spec"]["rayClusterSpec"]["headGroupSpec"]
    assert head["rayStartParams"] == {"dashboard-host": "0.0.0.0", "num-cpus": "0"}
    (container,) = head["template"]["spec"]["containers"]
    assert {port["containerPort"] for port in container["ports"]} == {6379, 8265, 10001}


def test_all_nodes_have_the_same_image_limits_that_are_requests_and_what_is_mounted(manifest: dict[str, Any]) -> None:
    cluster = manifest["spec"]["rayClusterSpec"]
    pods = [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
    containers = [pod["containers"][0] for pod in pods]
    assert len({container["image"] for container in containers}) == 1
    for pod, container in zip(pods, containers, strict=True):
        assert container["resources"]["limits"] == container["resources"]["requests"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
        limits = {"RAY_MAX_LIMIT_FROM_API_SERVER": "40000", "RAY_MAX_LIMIT_FROM_DATA_SOURCE": "40000"}
        assert limits.items() <= {each["name"]: each["value"] for each in container["env"]}.items()
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_the_start_parameters_are_options_of_ray(manifest: dict[str, Any]) -> None:
    pytest.importorskip("ray")
    from nemo_curator.core.ray_command import find_ray

    environment = {**os.environ, "COLUMNS": "200"}
    said = subprocess.run([find_ray(), "start", "--help"], capture_output=True, text=True, check=True, env=environment)
    cluster = manifest["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        for name in group["rayStartParams"]:
            assert f"--{name} " in said.stdout
