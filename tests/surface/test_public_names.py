"""The names that user code imports."""

from __future__ import annotations

from importlib import import_module

import pytest

NAMES = {
    "nemo_curator": ["__version__"],
    "nemo_curator.backends.base": ["BaseExecutor", "BaseStageAdapter", "NodeInfo", "WorkerMetadata"],
    "nemo_curator.backends.failed_task_markers": [
        "FAILED_TASKS_DIR_ENV_VAR",
        "FAILED_TASK_MANIFEST_FILENAME",
        "configure_failed_task_manifest_dir",
        "configure_slurm_array_failed_task_manifest_dir",
        "failed_task_manifest_exists",
        "record_failed_tasks",
    ],
    "nemo_curator.backends.local": ["LocalExecutor"],
    "nemo_curator.backends.registry": ["available_backends", "get_executor_class", "make_executor"],
    "nemo_curator.backends.slurm_array": [
        "SlurmArrayConfig",
        "SlurmArrayRetryPlan",
        "SlurmArrayRetrySubmission",
        "build_slurm_array_completion_manifest",
        "build_slurm_array_retry_submissions",
        "configure_slurm_array_source_filtering",
        "filter_slurm_array_source_tasks",
        "find_slurm_array_retries",
        "format_slurm_array_indices",
        "is_slurm_array_driver_process",
        "resolve_slurm_array_config",
        "slurm_array_shard_for_task",
    ],
    "nemo_curator.pipeline": ["Pipeline", "WorkflowBase", "WorkflowRunResult", "assign_root_task_ids"],
    "nemo_curator.pipeline.pipeline": ["Pipeline", "assign_root_task_ids"],
    "nemo_curator.pipeline.workflow": ["WorkflowBase", "WorkflowRunResult"],
    "nemo_curator.stages.base": [
        "CompositeStage",
        "ProcessingStage",
        "StageInputSpec",
        "StageInputSpecs",
        "StageMeta",
        "_STAGE_REGISTRY",
        "get_stage_class",
    ],
    "nemo_curator.stages.deduplication.exact": ["ExactDeduplicationWorkflow", "ExactDuplicatesRemovalStage"],
    "nemo_curator.stages.deduplication.exact.identification": ["ExactDuplicateIdentification", "HashTextsStage"],
    "nemo_curator.stages.deduplication.exact.workflow": ["ExactDeduplicationWorkflow"],
    "nemo_curator.stages.deduplication.fuzzy": ["FuzzyDeduplicationWorkflow", "detection_probability"],
    "nemo_curator.stages.deduplication.fuzzy.buckets_to_edges": ["BucketsToEdgesStage"],
    "nemo_curator.stages.deduplication.fuzzy.groups": ["ConnectedComponentsStage", "FuzzyDuplicateIdentification"],
    "nemo_curator.stages.deduplication.fuzzy.lsh": ["LSHStage"],
    "nemo_curator.stages.deduplication.fuzzy.minhash": ["MinHashStage"],
    "nemo_curator.stages.deduplication.fuzzy.workflow": ["FuzzyDeduplicationWorkflow"],
    "nemo_curator.stages.deduplication.id_generator": ["CURATOR_DEDUP_ID_STR", "IdGeneratorBase"],
    "nemo_curator.stages.file_partitioning": ["FilePartitioningStage"],
    "nemo_curator.stages.function_decorators": ["processing_stage"],
    "nemo_curator.stages.resources": ["Resources"],
    "nemo_curator.stages.worker_info": ["NodeInfo", "WorkerMetadata"],
    "nemo_curator.stages.text.deduplication": ["TextDuplicatesRemovalStage", "TextDuplicatesRemovalWorkflow"],
    "nemo_curator.stages.text.deduplication.removal": ["TextDuplicatesRemovalStage"],
    "nemo_curator.stages.text.io.reader": ["JsonlReader", "ParquetReader"],
    "nemo_curator.stages.text.io.writer": ["JsonlWriter", "ParquetWriter"],
    "nemo_curator.stages.text.filters": ["DocumentFilter", "Filter", "Score", "ScoreFilter"],
    "nemo_curator.stages.text.modifiers": ["DocumentModifier", "Modify"],
    "nemo_curator.stages.text.modules": ["AddId", "DocumentJoiner", "DocumentSplitter"],
    "nemo_curator.tasks": [
        "AudioTask",
        "DocumentBatch",
        "EmptyTask",
        "FailedTask",
        "FileGroupTask",
        "ImageBatch",
        "ImageObject",
        "LanceReadTask",
        "NoneTask",
        "SentinelTask",
        "Task",
    ],
    "nemo_curator.tasks.image": ["ImageSampleTask", "ImageTaskData"],
    "nemo_curator.tasks.utils": ["TaskPerfUtils"],
    "nemo_curator.tasks.video": ["Clip", "ClipStats", "Video", "VideoMetadata", "VideoTask"],
    "nemo_curator.utils.hash_utils": ["get_deterministic_hash"],
    "nemo_curator.utils.performance_utils": ["StagePerfStats", "StageTimer"],
    "nemo_curator.utils.retry_manifest": [
        "METADATA_DIRNAME",
        "CompletionManifest",
        "CompletionManifestRecord",
        "read_completion_manifests",
    ],
}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in NAMES.items() for name in names])
def test_name_can_be_imported(module: str, name: str) -> None:
    assert getattr(import_module(module), name) is not None


@pytest.mark.parametrize(
    "module",
    [
        "nemo_curator.stages.deduplication.exact",
        "nemo_curator.stages.deduplication.fuzzy",
        "nemo_curator.stages.text.deduplication",
        "nemo_curator.stages.text.io.reader",
        "nemo_curator.stages.text.io.writer",
    ],
)
def test_unknown_lazy_names_are_attribute_errors(module: str) -> None:
    with pytest.raises(AttributeError):
        getattr(import_module(module), "NoSuchThing")  # noqa: B009 - the lookup is what is tested
