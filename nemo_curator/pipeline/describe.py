"""A pipeline as text, before it is planned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nemo_curator.stages.base import ProcessingStage

__all__ = ["describe_pipeline"]


def describe_pipeline(name: str, description: str | None, stages: Sequence[ProcessingStage[Any, Any]]) -> str:
    """Return name, description and every stage with what it needs and gives."""
    lines = [
        f"Pipeline: {name}",
        f"Description: {description or 'No description provided'}",
        f"Stages: {len(stages)}",
        "",
    ]
    for number, stage in enumerate(stages, start=1):
        lines.append(f"Stage {number}: {stage.name}")
        try:
            lines += [f"  {line}" for line in _describe_stage(stage)]
        except Exception as error:  # a stage that cannot describe itself must not hide the others
            lines.append(f"  Error getting stage info: {error}")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _describe_stage(stage: ProcessingStage[Any, Any]) -> list[str]:
    resources = stage.resources
    lines = [f"Resources: {resources.cpus} CPUs"]
    if resources.requires_gpu:
        lines.append(f"  GPU Memory: {resources.gpu_memory_gb} GB ({resources.gpus} GPUs)")
    lines.append(f"Batch size: {stage.batch_size}")
    specs = stage.inputs()
    if isinstance(specs, dict):
        needs: list[str] = []
        for kind, spec in specs.items():
            if inner := _needs(*spec, words=("Required attributes", "Required columns")):
                needs += [f"{kind.__name__}:", *(f"  {line}" for line in inner)]
    else:
        needs = _needs(*specs, words=("Required attributes", "Required columns"))
    if needs:
        lines += ["Inputs:", *(f"  {line}" for line in needs)]
    if gives := _needs(*stage.outputs(), words=("Output attributes", "Output columns")):
        lines += ["Outputs:", *(f"  {line}" for line in gives)]
    return lines


def _needs(attributes: Sequence[str], columns: Sequence[str], *, words: tuple[str, str]) -> list[str]:
    pairs = zip(words, (attributes, columns), strict=True)
    return [f"{word}: {', '.join(names)}" for word, names in pairs if names]
