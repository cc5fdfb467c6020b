"""Stages that identify, split, join and count documents."""

from nemo_curator.stages.text.modules.accounting import DocumentAccounting, TekkenCounter, TokenCounter
from nemo_curator.stages.text.modules.add_id import AddId
from nemo_curator.stages.text.modules.joiner import DocumentJoiner
from nemo_curator.stages.text.modules.splitter import DocumentSplitter

__all__ = ["AddId", "DocumentAccounting", "DocumentJoiner", "DocumentSplitter", "TekkenCounter", "TokenCounter"]
