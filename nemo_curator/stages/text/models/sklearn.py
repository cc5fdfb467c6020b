"""Models of scikit-learn: pipelines in skops files, and the profanity model that ships in a package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_curator.errors import DataError, require
from nemo_curator.stages.text.models.base import LabelModel, check_file, digest_of_file

if TYPE_CHECKING:
    from nemo_curator.stages.text.models.base import Matrix

__all__ = ["ProfanityModel", "SkopsModel"]


class SkopsModel(LabelModel):
    """A scikit-learn pipeline from texts to `predict_proba`, in the format of skops, which runs no code of the file.

    Pickles and joblib files are never read: whoever writes one can run anything where it is loaded. Convert a pickle of your own with
    ``skops.io.dump``.

    Args:
        path: The file, ``.skops``.
        trusted: Full names of types beyond those that skops knows to be harmless, as ``skops.io.get_untrusted_types`` lists them.
    """

    def __init__(self, path: str | Path, trusted: Sequence[str] = ()) -> None:
        self.path = str(path)
        self.digest = digest_of_file(self.path)
        self.trusted = list(trusted)

    def prepare(self) -> None:
        """Look whether the file is there."""
        check_file(self.path, "the scikit-learn model")

    def _load(self) -> Any:
        require("skops", extra="classify", purpose="a scikit-learn model in a skops file")
        self.prepare()
        from zipfile import BadZipFile

        import skops.io as sio  # pyright: ignore[reportMissingImports] - an extra
        from skops.io.exceptions import UntrustedTypesFoundException  # pyright: ignore[reportMissingImports]

        try:
            model = sio.load(self.path, trusted=self.trusted)
        except UntrustedTypesFoundException as error:
            unknown = sio.get_untrusted_types(file=self.path)
            message = f"{self.path} holds types that nobody has vouched for: {', '.join(unknown)}; if you know them, name them in trusted=[...]"
            raise DataError(message) from error
        except (BadZipFile, KeyError, ValueError) as error:
            message = f"{self.path} is not a skops file: {error}"
            raise DataError(message) from error
        if not hasattr(model, "predict_proba"):
            message = f"{self.path} holds a {type(model).__name__}, which has no predict_proba"
            raise DataError(message)
        return model

    @property
    def labels(self) -> list[str]:
        """Names of the classes, in scikit-learn's order."""
        return [str(label) for label in self.model.classes_]

    def probabilities(self, texts: Sequence[str]) -> Matrix:
        """Return the probability of every class for every text."""
        import numpy as np

        return np.asarray(self.model.predict_proba([_sound(text) for text in texts]), dtype=np.float32)


class ProfanityModel(LabelModel):
    """A linear SVM over words for insults and swearing in English, as alt-profanity-check ships it. Labels ``clean`` and ``toxic``.

    It finds words, not meaning: what is said about an insult counts as one. The package holds its model as a joblib file, a pickle;
    installing the package is trusting it, and nothing else is unpickled.
    """

    def _load(self) -> Any:
        require("profanity_check", extra="toxicity", purpose="the profanity model")
        import profanity_check  # pyright: ignore[reportMissingImports] - an extra

        return profanity_check.predict_prob

    @property
    def labels(self) -> list[str]:
        """``clean`` and ``toxic``."""
        return ["clean", "toxic"]

    def probabilities(self, texts: Sequence[str]) -> Matrix:
        """Return the probability of both labels for every text."""
        import numpy as np

        if not texts:
            return np.empty((0, 2), dtype=np.float32)
        toxic = np.asarray(self.model([_sound(text) for text in texts]), dtype=np.float32)
        return np.column_stack([1 - toxic, toxic])


def _sound(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
