"""`FastTextModel`: a fastText classifier. `FastTextFile`: what every stage that asks a fastText model has of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import require
from nemo_curator.stages.text.models.base import LabelModel, ModelHandle, check_file, digest_of_file

if TYPE_CHECKING:
    from nemo_curator.stages.text.models.base import Matrix

__all__ = ["FastTextFile", "FastTextModel"]

_LABEL = "__label__"


class FastTextFile(ModelHandle):
    """A supervised fastText model in a file, asked about one text at a time.

    Args:
        path: The model, ``.bin`` or ``.ftz``.

    Attributes:
        digest: Of the file's content, see `digest_of_file`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self.digest = digest_of_file(self.path)

    def prepare(self) -> None:
        """Look whether the model is there."""
        check_file(self.path, "the fastText model")

    def _load(self) -> Any:
        require("fasttext", extra="text", purpose="a fastText model")
        self.prepare()
        import fasttext

        model = fasttext.load_model(self.path)
        return model, _likeliest(model, "")

    @property
    def prior(self) -> tuple[str, float]:
        """What the model says about an empty text, and about one in which it knows no character sequence: no answer, that is."""
        return self.model[1]

    def likeliest(self, text: str) -> tuple[str, float]:
        """Return the likeliest label, without ``__label__``, and its probability, of a text read as one line."""
        return _likeliest(self.model[0], text)

    def answers(self, text: str) -> dict[str, float]:
        """Return the probability of every label."""
        # At the threshold of 0 that is the default, labels below 1e-5 are left out.
        names, probabilities = self.model[0].predict(_as_line(text), k=-1, threshold=-1.0)
        return {name.removeprefix(_LABEL): min(p, 1.0) for name, p in zip(names, probabilities, strict=True)}


class FastTextModel(LabelModel):
    """A supervised fastText model (Joulin et al. 2016, arXiv 1607.01759), as the command ``fasttext supervised`` makes it.

    Args:
        path: The model, ``.bin`` or ``.ftz``.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._file = FastTextFile(self.path)

    def prepare(self) -> None:
        """Look whether the model is there."""
        self._file.prepare()

    def _load(self) -> list[str]:
        return sorted(self._file.answers(""))

    @property
    def labels(self) -> list[str]:
        """Names of the labels without ``__label__``, sorted."""
        return self.model

    def probabilities(self, texts: Sequence[str]) -> Matrix:
        """Return the probability of every label for every text, read as one line."""
        import numpy as np

        labels = self.labels
        rows = [self._file.answers(text) for text in texts]
        numbers = [[row.get(label, 0.0) for label in labels] for row in rows]
        return np.array(numbers, dtype=np.float32).reshape(len(texts), len(labels))


def _likeliest(model: Any, text: str) -> tuple[str, float]:
    names, probabilities = model.predict(_as_line(text), k=1)
    # A model trained on words alone, and none at the end of a line, says nothing about what has none of its words.
    return (names[0].removeprefix(_LABEL), min(probabilities[0], 1.0)) if names else ("", 0.0)


def _as_line(text: str) -> str:
    """Return the text as the library can read it: one line, without lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text.replace("\n", " ").replace("\0", " ")
