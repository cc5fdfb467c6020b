"""A plan in words."""

from __future__ import annotations

from nemo_curator.engine.plan import ExecutionPlan, PlannedStage, Segment

__all__ = ["explain_plan"]

_GIB = 1024**3


def explain_plan(plan: ExecutionPlan, backend: str) -> str:
    """Return what a backend will run together, what apart and why, and with which resources and batch sizes."""
    count, parts = len(plan.stages), len(plan.segments)
    lines = [
        f"Plan of pipeline {plan.name!r} on {backend}: {count} stage{'s' * (count > 1)} in {parts} segment{'s' * (parts > 1)}"
    ]
    lines += [f"  composite {name!r} stands for: {', '.join(stages)}" for name, stages in plan.decomposition.items()]
    for segment in plan.segments:
        lines += ["", *_explain_segment(segment)]
    return "\n".join(lines) + "\n"


def _explain_segment(segment: Segment) -> list[str]:
    first = segment.stages[0]
    workers = "any number of workers"
    if first.num_workers is not None:
        workers = f"at most {first.num_workers} worker{'s' * (first.num_workers > 1)}"
    if first.num_workers_per_node is not None:
        workers = f"at most {first.num_workers_per_node:g} workers a node"
    lines = [f"Segment {segment.index + 1}: {segment.cpus:g} CPUs, {segment.shape}, {workers}"]
    if segment.starts_because:
        lines.append(f"  not fused with the one before: {segment.starts_because}")
    if segment.is_barrier:
        lines.append("  waits for everything that comes, then runs once")
    return lines + [f"  {line}" for stage in segment.stages for line in _explain_stage(stage)]


def _explain_stage(stage: PlannedStage) -> list[str]:
    roles = [
        role
        for role, holds in (("source", stage.is_source), ("sink", stage.is_sink), ("fans out", stage.fans_out))
        if holds
    ]
    chosen = ", chosen by the engine" if stage.stage.batch_size is None else ""
    said = f" ({', '.join(roles)})" if roles else ""
    limits = f", at most {stage.timeout_s:g} s a call" if stage.timeout_s is not None else ""
    limits += f", at most {stage.memory_bytes / _GIB:g} GiB a worker" if stage.memory_bytes else ""
    return [
        f"{stage.index + 1}. {stage.name}{said}: batches of {stage.batch_size}{chosen}{limits}; added at {stage.declared_at}"
    ]
