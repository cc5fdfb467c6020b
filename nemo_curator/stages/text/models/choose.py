"""From what a user gives as a model to the handle that loads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nemo_curator.errors import OptionError
from nemo_curator.stages.text.models.base import LabelModel

__all__ = ["make_label_model"]


def make_label_model(given: LabelModel | str | Path, **transformers_options: Any) -> LabelModel:
    """Return the handle itself, or one for a file or name: ``.npz`` linear, ``.bin`` and ``.ftz`` fastText, ``.skops`` scikit-learn.

    Anything else is a folder of transformers, or a name on the hub.

    Raises:
        OptionError: A pickle, or an ONNX graph, which does not say its labels.
    """
    if isinstance(given, LabelModel):
        return given
    suffix = Path(given).suffix.lower()
    if suffix in {".pkl", ".pickle", ".joblib"}:
        message = (
            f"{given} is a pickle, which can run anything where it is loaded, so none is; convert it with skops.io.dump"
        )
        raise OptionError(message)
    if suffix == ".onnx":
        message = f"{given} does not say what its outputs mean; give OnnxLabelModel({str(given)!r}, labels=[...])"
        raise OptionError(message)
    if suffix == ".npz":
        from nemo_curator.stages.text.models.linear import LinearModel

        return LinearModel(given)
    if suffix in {".bin", ".ftz"}:
        from nemo_curator.stages.text.models.fasttext import FastTextModel

        return FastTextModel(given)
    if suffix == ".skops":
        from nemo_curator.stages.text.models.sklearn import SkopsModel

        return SkopsModel(given)
    from nemo_curator.stages.text.models.transformers import TransformersLabelModel

    return TransformersLabelModel(str(given), **transformers_options)
