"""What importing costs and brings, and who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "nemo_curator"
HEAVY = {
    "ray",
    "cosmos_xenna",
    "torch",
    "pandas",
    "numpy",
    "pyarrow",
    "cudf",
    "transformers",
    "rich",
    "onnxruntime",
    "av",
    "cv2",
    "PIL",
    "scipy",
    "soundfile",
}


@pytest.mark.parametrize(
    "module",
    [
        "nemo_curator",
        "nemo_curator.engine",
        "nemo_curator.tasks",
        "nemo_curator.pipeline",
        "nemo_curator.backends.local",
        "nemo_curator.backends.workers.worker",
        "nemo_curator.backends.xenna",
        "nemo_curator.backends.ray_data",
        "nemo_curator.backends.ray_actor_pool",
        "nemo_curator.core.client",
        "nemo_curator.stages.base",
        "nemo_curator.stages.client_partitioning",
        "nemo_curator.stages.audio",
        "nemo_curator.stages.audio.advanced_pipelines",
        "nemo_curator.stages.audio.alm.pretrain.output",
        "nemo_curator.stages.audio.common.decoding",
        "nemo_curator.stages.audio.common.manifest_writer",
        "nemo_curator.stages.audio.datasets.readspeech",
        "nemo_curator.stages.audio.filtering.dnsmos",
        "nemo_curator.stages.audio.inference.asr.stage",
        "nemo_curator.stages.audio.inference.sed.stage",
        "nemo_curator.stages.audio.inference.speaker_diarization.stages",
        "nemo_curator.stages.audio.inference.vad",
        "nemo_curator.stages.audio.tagging.align",
        "nemo_curator.stages.audio.metrics.get_wer",
        "nemo_curator.stages.audio.segmentation.vad",
        "nemo_curator.stages.file_partitioning",
        "nemo_curator.stages.text.io.reader",
        "nemo_curator.stages.text.io.writer",
        "nemo_curator.stages.text.download",
        "nemo_curator.stages.text.filters",
        "nemo_curator.stages.text.language",
        "nemo_curator.stages.text.classifiers.safety",
        "nemo_curator.stages.text.embedders.stage",
        "nemo_curator.stages.text.models.linear",
        "nemo_curator.stages.text.modules",
        "nemo_curator.stages.text.pii.presidio",
        "nemo_curator.stages.text.filters.heuristic.code",
        "nemo_curator.stages.text.recipes",
        "nemo_curator.stages.text.modifiers",
        "nemo_curator.stages.text.deduplication",
        "nemo_curator.stages.image.deduplication.perceptual",
        "nemo_curator.stages.image.embedders.clip_embedder",
        "nemo_curator.stages.image.filters.nsfw_filter",
        "nemo_curator.stages.image.filters.quality_filter",
        "nemo_curator.stages.image.filters.text_filter",
        "nemo_curator.stages.image.io.folder_reader",
        "nemo_curator.stages.image.io.image_reader",
        "nemo_curator.stages.image.io.image_writer",
        "nemo_curator.stages.image.transforms.resize",
        "nemo_curator.stages.video",
        "nemo_curator.stages.video.io",
        "nemo_curator.stages.video.io.clip_writer",
        "nemo_curator.stages.video.clipping.transnetv2_extraction",
        "nemo_curator.stages.video.clipping.scene_detection",
        "nemo_curator.stages.video.filtering.motion_filter",
        "nemo_curator.stages.video.embedding.cosmos_embed1",
        "nemo_curator.stages.video.caption.caption_generation",
        "nemo_curator.stages.video.models.nsfw",
        "nemo_curator.stages.video.preview.preview",
        "nemo_curator.stages.deduplication.exact.workflow",
        "nemo_curator.stages.deduplication.fuzzy.workflow",
        "nemo_curator.stages.deduplication.semantic.workflow",
        "nemo_curator.stages.text.deduplication.semantic.workflow",
    ],
)
def test_nothing_heavy_is_imported(module: str) -> None:
    code = f"import sys; import {module}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_importing_changes_neither_environment_nor_warnings() -> None:
    code = (
        "import os, signal, warnings; before = (dict(os.environ), list(warnings.filters), signal.getsignal(2));"
        "import nemo_curator, nemo_curator.engine, nemo_curator.pipeline, nemo_curator.backends.local;"
        "assert before == (dict(os.environ), list(warnings.filters), signal.getsignal(2))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Lower layers first; a module may import its own layer and those before it.
LAYERS = [
    *(
        "errors",
        "core",
        "utils",
        "metrics",
        "tasks",
        "models",
        "stages",
        "engine",
        "backends",
        "observe",
        "pipeline",
        "workflows",
        "cli",
    ),
    "testing",
]


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    tree = ast.parse(path.read_text())
    typing_only = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("nemo_curator."):
            found.add(node.module)
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("nemo_curator.")}
    return found


MODULES = sorted(PACKAGE.rglob("*.py"))


def _layer(dotted: str) -> str:
    parts = dotted.split(".")
    # Workflows live beside the stages that they are made of, and run pipelines.
    if parts[1:2] == ["stages"] and parts[-1].endswith("workflow"):
        return "workflows"
    return parts[1] if "." in dotted else ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path: Path) -> None:
    dotted = ".".join(["nemo_curator", *path.relative_to(PACKAGE).with_suffix("").parts])
    own = _layer(dotted)
    if own not in LAYERS:
        return
    for target in _imports(path):
        layer = _layer(target)
        assert LAYERS.index(layer) <= LAYERS.index(own), f"{dotted} imports {target}"
        parts, own_parts = target.split("."), dotted.split(".")
        if (
            own == "backends"
            and layer == "backends"
            and len(parts) > 2
            and parts[2] not in {"base", "registry", "workers", "cluster", "utils"}
            and own_parts[2] != "experimental"  # the older paths of the others
        ):
            assert parts[2] == own_parts[2], f"{dotted} imports another backend: {target}"
        modalities = {"text", "image", "video", "audio"}
        if own == "stages" and len(parts) > 2 and parts[2] in modalities and own_parts[2] in modalities:
            assert parts[2] == own_parts[2], f"{dotted} imports another modality: {target}"


def test_only_the_runner_calls_user_code() -> None:
    methods = {"process", "process_batch", "setup", "setup_on_node", "teardown"}
    offenders = []
    for path in [*(PACKAGE / "engine").rglob("*.py"), *(PACKAGE / "backends").rglob("*.py")]:
        if path.name == "runner.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            # BaseStageAdapter hands `setup_on_node` to the stage it was given; it is a shell over the runner otherwise.
            if isinstance(called, ast.Attribute) and called.attr in methods and "stage" in ast.unparse(called.value):
                offenders.append(f"{path.name}: {ast.unparse(node)}")
    assert offenders == ["base.py: self.stage.setup_on_node(node_info, worker_metadata)"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_stay_small(path: Path) -> None:
    # A module that outgrows this hides a second idea.
    assert len(path.read_text().splitlines()) <= 400
