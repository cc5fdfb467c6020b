"""Names of stages after the models that they run."""

from __future__ import annotations

import re

__all__ = ["format_name_with_suffix"]


def format_name_with_suffix(model_identifier: str, suffix: str = "_classifier") -> str:
    """Return a name for a stage: the last part of the model's, in small letters and with underscores, and the suffix.

    ``nvidia/Quality-Classifier`` becomes ``quality_classifier_classifier``.
    """
    last = model_identifier.rstrip("/").rpartition("/")[2]
    return re.sub(r"\W+", "_", last.lower()).strip("_") + suffix
