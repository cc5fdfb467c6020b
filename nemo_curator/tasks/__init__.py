"""What travels through a pipeline. Importing it imports neither pandas, pyarrow nor numpy."""

from nemo_curator.tasks.audio import AudioTask
from nemo_curator.tasks.base import Task
from nemo_curator.tasks.document import DocumentBatch
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.tasks.image import ImageBatch, ImageObject
from nemo_curator.tasks.lance import LanceReadTask
from nemo_curator.tasks.sentinels import EmptyTask, FailedTask, NoneTask, SentinelTask

__all__ = [
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
]
