"""The neutral core: how a pipeline is compiled, how tasks travel, and what becomes of them.

Standard library, `nemo_curator.tasks` and `nemo_curator.stages.base` only; no engine and no array library is imported here. A worker needs a
third of it, so that its names come when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_curator.utils.lazy import lazy_names

if TYPE_CHECKING:
    from nemo_curator.engine.compile import compile_plan
    from nemo_curator.engine.options import RunOptions
    from nemo_curator.engine.plan import ExecutionPlan, PlannedStage, Segment
    from nemo_curator.engine.report import RunReport, StageReport
    from nemo_curator.engine.session import Session

__all__ = [
    "ExecutionPlan",
    "PlannedStage",
    "RunOptions",
    "RunReport",
    "Segment",
    "Session",
    "StageReport",
    "compile_plan",
]

_MODULES = {
    "ExecutionPlan": "plan",
    "PlannedStage": "plan",
    "RunOptions": "options",
    "RunReport": "report",
    "Segment": "plan",
    "Session": "session",
    "StageReport": "report",
    "compile_plan": "compile",
}
__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
