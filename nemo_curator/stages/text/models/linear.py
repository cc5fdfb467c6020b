"""`LinearModel`: logistic regression over hashed word n-grams. Trained with scikit-learn, kept as plain numbers, run with NumPy."""

from __future__ import annotations

import io
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nemo_curator.errors import DataError, require
from nemo_curator.stages.text.models.base import LabelModel, check_file, digest_of_file
from nemo_curator.utils.atomic_io import atomic_output

if TYPE_CHECKING:
    import numpy as np

    from nemo_curator.stages.text.models.base import Matrix

__all__ = ["LinearModel", "train_linear_model"]

_FORMAT = "curator-linear-1"
# Han, kana and Thai are written without spaces: there every character is a token, and n-grams make words of them.
_TOKEN = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|\w+|[^\w\s]")


class _Weights(NamedTuple):
    weights: np.ndarray[Any, Any]
    bias: np.ndarray[Any, Any]
    labels: list[str]
    word_ngrams: int


class LinearModel(LabelModel):
    """A classifier in a file of plain numbers (``.npz``, no pickle), made by `train_linear_model`.

    Features: lower-case words and runs of up to n words, hashed into buckets with CRC-32 (the hashing trick, Weinberger et al. 2009,
    arXiv 0902.2206), weighted ``1 + ln(count)`` and scaled to length 1. Probabilities: the softmax of ``weights @ features + bias``.

    Args:
        path: The file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self.digest = digest_of_file(self.path)

    def prepare(self) -> None:
        """Look whether the file is there."""
        check_file(self.path, "the linear model")

    @property
    def labels(self) -> list[str]:
        """Names of the labels."""
        return self.model.labels

    def probabilities(self, texts: Sequence[str]) -> Matrix:
        """Return the probability of every label for every text."""
        import numpy as np

        model: _Weights = self.model
        logits = np.empty((len(texts), len(model.labels)), dtype=np.float64)
        for row, text in enumerate(texts):
            buckets, values = hashed_features(text, len(model.weights), model.word_ngrams)
            logits[row] = values @ model.weights[buckets] + model.bias
        logits -= logits.max(axis=1, keepdims=True)
        shares = np.exp(logits)
        return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)

    def _load(self) -> _Weights:
        self.prepare()
        import numpy as np

        try:
            with np.load(self.path, allow_pickle=False) as file:
                config = json.loads(str(file["config"]))
                weights, bias = file["weights"], file["bias"]
            if config["format"] != _FORMAT or weights.shape[1:] != bias.shape or len(config["labels"]) != len(bias):
                raise ValueError(config["format"])
        except (ValueError, KeyError, OSError, TypeError, IndexError, AttributeError) as error:
            message = f"{self.path} is not a linear model that train_linear_model made: {error}"
            raise DataError(message) from error
        return _Weights(weights, bias, config["labels"], config["word_ngrams"])


def train_linear_model(
    texts: Sequence[str],
    labels: Sequence[str],
    path: str | Path,
    *,
    word_ngrams: int = 2,
    buckets: int = 2**16,
    strength: float = 10.0,
) -> LinearModel:
    """Train a classifier with scikit-learn and write it to a file.

    The same texts in the same order give the same weights: the solver (L-BFGS) draws nothing at random.

    Args:
        texts: What to learn from; blank ones teach nothing.
        labels: The label of each text, two different ones at least.
        path: The file, ``*.npz``. It has ``4 * buckets * labels`` bytes before compression.
        word_ngrams: Longest run of words that is a feature.
        buckets: Size of the hash table; a power of two.
        strength: Inverse of the L2 penalty (scikit-learn's ``C``): the higher, the closer it fits.

    Raises:
        MissingExtra: scikit-learn is not installed.
        DataError: Fewer than two labels, or not one for every text.
    """
    require("sklearn", extra="classify", purpose="training a linear model")
    import numpy as np
    from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingImports] - an extra

    if len(texts) != len(labels) or len(set(labels)) < 2:
        message = f"training needs a label for every text and two different ones; got {len(texts)} texts, {len(labels)} labels, {len(set(labels))} of them different"
        raise DataError(message)
    fitted = LogisticRegression(C=strength, max_iter=1000).fit(_features(texts, buckets, word_ngrams), list(labels))
    weights, bias = fitted.coef_.T.astype(np.float32), fitted.intercept_.astype(np.float32)
    if len(fitted.classes_) == 2:  # scikit-learn keeps one column, the logit of the second label against the first
        weights, bias = np.hstack([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    config = {"format": _FORMAT, "labels": [str(label) for label in fitted.classes_], "word_ngrams": word_ngrams}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, weights=weights, bias=bias, config=np.array(json.dumps(config)))
    with atomic_output(path) as file:
        file.write(buffer.getvalue())
    return LinearModel(path)


def hashed_features(text: str, buckets: int, word_ngrams: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the buckets that a text falls into, in ascending order, and its weights there, of length 1 together."""
    import numpy as np

    words = _TOKEN.findall(text.lower().encode("utf-8", "replace").decode("utf-8"))
    counts: Counter[int] = Counter()
    for size in range(1, word_ngrams + 1):
        runs = (" ".join(words[at : at + size]) for at in range(len(words) - size + 1))
        counts.update(zlib.crc32(run.encode()) % buckets for run in runs)
    found = sorted(counts)
    weights = np.array([1 + math.log(counts[bucket]) for bucket in found])
    length = float(np.linalg.norm(weights)) if found else 1.0
    return np.array(found, dtype=np.int64), weights / length


def _features(texts: Sequence[str], buckets: int, word_ngrams: int) -> Any:
    import numpy as np
    from scipy.sparse import csr_matrix  # pyright: ignore[reportMissingImports] - comes with scikit-learn

    rows = [hashed_features(text, buckets, word_ngrams) for text in texts]
    ends = np.cumsum([0, *(len(found) for found, _ in rows)])
    columns, values = (np.concatenate(part) for part in zip(*rows, strict=True))
    return csr_matrix((values, columns, ends), shape=(len(rows), buckets))
