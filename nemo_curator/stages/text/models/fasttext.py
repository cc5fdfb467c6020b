"""`FastTextModel`: a fastText classifier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import require
from nemo_curator.stages.text.models.base import LabelModel, check_file

if TYPE_CHECKING:
    from nemo_curator.stages.text.models.base import Matrix

__all__ = ["FastTextModel"]

_LABEL = "__label__"


class FastTextModel(LabelModel):
    """A supervised fastText model (Joulin et al. 2016, arXiv 1607.01759), as the command ``fasttext supervised`` makes it.

    Args:
        path: The model, ``.bin`` or ``.ftz``.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)

    def prepare(self) -> None:
        """Look whether the model is there."""
        check_file(self.path, "the fastText model")

    def _load(self) -> tuple[Any, list[str]]:
        require("fasttext", extra="text", purpose="a fastText model")
        self.prepare()
        import fasttext

        model = fasttext.load_model(self.path)
        return model, sorted(_answers(model, ""))

    @property
    def labels(self) -> list[str]:
        """Names of the labels without ``__label__``, sorted."""
        return self.model[1]

    def probabilities(self, texts: Sequence[str]) -> Matrix:
        """Return the probability of every label for every text, read as one line."""
        import numpy as np

        model, labels = self.model
        rows = [_answers(model, text) for text in texts]
        numbers = [[row.get(label, 0.0) for label in labels] for row in rows]
        return np.array(numbers, dtype=np.float32).reshape(len(texts), len(labels))


def _answers(model: Any, text: str) -> dict[str, float]:
    line = text.replace("\n", " ").replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
    # At the threshold of 0 that is the default, labels below 1e-5 are left out.
    names, probabilities = model.predict(line, k=-1, threshold=-1.0)
    return {name.removeprefix(_LABEL): min(float(p), 1.0) for name, p in zip(names, probabilities, strict=True)}
