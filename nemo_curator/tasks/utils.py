"""`TaskPerfUtils`: what the stages of finished pipelines did, gathered from the records in their tasks."""

# Metadata and records of a task are the engine's to write; their names are part of the public contract.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from nemo_curator.tasks.base import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


__all__ = ["TaskPerfUtils"]


class TaskPerfUtils:
    """Gathers `StagePerfStats` from tasks.

    Every method takes a list of tasks, a `WorkflowRunResult`, a mapping of pipeline name to tasks (or one with the key
    ``pipeline_tasks``), or `None`. A record that travelled in several tasks is counted once.
    """

    @staticmethod
    def collect_stage_metrics(tasks: object) -> dict[str, dict[str, NDArray[np.float64]]]:
        """Return, for each stage and metric, the values of all calls."""
        import numpy as np

        every = [task for group in _by_pipeline(tasks).values() for task in group]
        return {
            stage: {metric: np.asarray(values, dtype=float) for metric, values in metrics.items()}
            for stage, metrics in _collect(every).items()
        }

    @staticmethod
    def aggregate_task_metrics(tasks: object, prefix: str | None = None) -> dict[str, float]:
        """Return ``<stage>_<metric>_<sum|mean|std>``, with prefix and pipeline name in front where there are several."""
        flat: dict[str, float] = {}
        groups = _by_pipeline(tasks)
        for pipeline, group in groups.items():
            parts = [prefix] if prefix else []
            if pipeline and (prefix or len(groups) > 1):
                parts.append(pipeline)
            head = "".join(f"{part}_" for part in parts)
            for stage, metrics in TaskPerfUtils.collect_stage_metrics(group).items():
                for metric, values in metrics.items():
                    name = f"{head}{stage}_{metric}"
                    flat[f"{name}_sum"] = float(values.sum())
                    flat[f"{name}_mean"] = float(values.mean())
                    flat[f"{name}_std"] = float(values.std())
        return flat

    @staticmethod
    def get_aggregated_stage_stat(tasks: object, stage_prefix: str, stat: str) -> float:
        """Return the sum of one metric over the stages whose name starts with `stage_prefix`; 0 if there are none."""
        metrics = TaskPerfUtils.collect_stage_metrics(tasks)
        return float(
            sum(
                values[stat].sum()
                for stage, values in metrics.items()
                if stage.startswith(stage_prefix) and stat in values
            )
        )


def _by_pipeline(tasks: object) -> dict[str, list[Task[Any]]]:
    inner: object = getattr(tasks, "pipeline_tasks", tasks)
    if inner is None:
        return {}
    if isinstance(inner, Mapping):
        groups = cast("Mapping[str, Any]", inner)
        if "pipeline_tasks" in groups:
            return _by_pipeline(groups["pipeline_tasks"])
        return {str(name): list(cast("Iterable[Task[Any]]", group or ())) for name, group in groups.items()}
    if isinstance(inner, (list, tuple)):
        return {"": list(cast("Iterable[Task[Any]]", inner))}
    message = f"expected tasks, a WorkflowRunResult or a mapping of pipeline to tasks, got {type(tasks).__name__}"
    raise TypeError(message)


def _collect(tasks: Iterable[Task[Any]]) -> dict[str, dict[str, list[float]]]:
    seen: set[tuple[str, int] | int] = set()
    found: dict[str, dict[str, list[float]]] = {}
    for task in tasks:
        for stats in task._stage_perf:
            key = stats.call_id or id(stats)
            if key in seen:
                continue
            seen.add(key)
            metrics = found.setdefault(stats.stage_name, {})
            for metric, value in stats.items():
                metrics.setdefault(metric, []).append(value)
    return found
