"""The neutral core: how a pipeline is compiled, how tasks travel, and what becomes of them.

Standard library, `nemo_curator.tasks` and `nemo_curator.stages.base` only; no engine and no array library is imported here.
"""

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
