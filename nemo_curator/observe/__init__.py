"""Watching runs: live progress and reports for people. Listens to the engine; nothing below knows it."""

from nemo_curator.observe.progress import ProgressBars
from nemo_curator.observe.summary import summary_table

__all__ = ["ProgressBars", "summary_table"]
