"""Stages that identify, split and join documents."""

from nemo_curator.stages.text.modules.add_id import AddId
from nemo_curator.stages.text.modules.joiner import DocumentJoiner
from nemo_curator.stages.text.modules.splitter import DocumentSplitter

__all__ = ["AddId", "DocumentJoiner", "DocumentSplitter"]
