"""What users start from: pipelines, and workflows of several pipelines."""

from nemo_curator.engine.ids import assign_root_task_ids
from nemo_curator.pipeline.pipeline import Pipeline
from nemo_curator.pipeline.workflow import WorkflowBase, WorkflowRunResult

__all__ = ["Pipeline", "WorkflowBase", "WorkflowRunResult", "assign_root_task_ids"]
