"""How far an image is from what good photographs look like, statistically: blur, noise and compression move it away.

The measure is that of NIQE (Mittal, Soundararajan and Bovik 2013, "Making a completely blind image quality analyzer", IEEE Signal Processing Letters
20(3)), with the features of BRISQUE (Mittal, Moorthy and Bovik 2012, IEEE Transactions on Image Processing 21(12)). The model of good photographs is
our own, so numbers are not comparable with those of other implementations.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nemo_curator.errors import DataError, InputError
from nemo_curator.utils.atomic_io import atomic_output

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["DEFAULT_MODEL", "PATCH", "NaturalnessModel", "fit_naturalness", "patch_features"]

#: Made from photographs that come with scikit-image and scikit-learn, see `examples/image/quality.py`.
DEFAULT_MODEL = Path(__file__).with_name("good_photographs.npz")

#: Side of a patch, in pixels; smaller images cannot be judged.
PATCH = 96
_FEATURES = 36
# Of larger images the middle counts: it has patches enough.
_MOST_SIDE = 1536
# Patches of good photographs that are less sharp than this, relative to the sharpest, are background out of focus.
_SHARP = 0.75
_TINY = 1e-10


class NaturalnessModel(NamedTuple):
    """The distribution of the features of good photographs' patches.

    Attributes:
        mean: float64 of shape ``(36,)``.
        covariance: float64 of shape ``(36, 36)``.
    """

    mean: Array
    covariance: Array

    @classmethod
    def load(cls, path: str | Path) -> NaturalnessModel:
        """Read a model that `fit_naturalness` wrote.

        Raises:
            InputError: There is no such file.
            DataError: It is something else.
        """
        import numpy as np

        if not Path(path).is_file():
            message = f"the model of good photographs is not there: no file at {path}"
            raise InputError(message)
        try:
            with np.load(path, allow_pickle=False) as file:
                mean, covariance = np.asarray(file["mean"], float), np.asarray(file["covariance"], float)
            if mean.shape != (_FEATURES,) or covariance.shape != (_FEATURES, _FEATURES):
                raise ValueError(mean.shape)
        except (ValueError, KeyError, OSError, EOFError, AttributeError) as error:
            message = f"{path} is not a model that fit_naturalness wrote: {error}"
            raise DataError(message) from error
        return cls(mean, covariance)

    def distance(self, pixels: NDArray[np.uint8]) -> float | None:
        """Return how far an image is from good photographs, 0 or more; `None` for images smaller than a patch.

        Args:
            pixels: RGB or grey, uint8.
        """
        import numpy as np

        features, _ = patch_features(pixels)
        if len(features) == 0:
            return None
        mean, covariance = _moments(features)
        difference = self.mean - mean
        # Few patches leave directions in which nothing is known; the pseudo-inverse passes them over.
        inverse = np.linalg.pinv((self.covariance + covariance) / 2, hermitian=True)
        return float(np.sqrt(max(0.0, difference @ inverse @ difference)))


def fit_naturalness(photographs: Iterable[NDArray[np.uint8]], path: str | Path | None = None) -> NaturalnessModel:
    """Return a model of good photographs, and write it to a file if one is named. The sharp patches of every photograph count.

    Args:
        photographs: RGB or grey, uint8, as they come from a camera: not blurred, scaled up or compressed hard. A dozen give a usable
            model, a hundred a better one.
        path: The file, ``*.npz``.

    Raises:
        DataError: There are fewer patches than features.
    """
    import numpy as np

    sharp = [np.zeros((0, _FEATURES))]
    for pixels in photographs:
        features, sharpness = patch_features(pixels)
        if len(features):
            sharp.append(features[sharpness > _SHARP * sharpness.max()])
    rows = np.concatenate(sharp)
    if len(rows) <= _FEATURES:
        message = f"the photographs have {len(rows)} sharp patches of {PATCH} x {PATCH} pixels; more than {_FEATURES} are needed"
        raise DataError(message)
    model = NaturalnessModel(*_moments(rows))
    if path is not None:
        with atomic_output(path) as handle:
            np.savez(handle, mean=model.mean, covariance=model.covariance)
    return model


def _moments(rows: Array) -> tuple[Array, Array]:
    import numpy as np

    centred = rows - rows.mean(axis=0)
    return rows.mean(axis=0), np.asarray(centred.T @ centred / max(len(rows) - 1, 1))


def patch_features(pixels: NDArray[np.uint8]) -> tuple[Array, Array]:
    """Return features of patches, float64 of shape ``(patches, 36)``, and their sharpness, of shape ``(patches,)``: 18 features at each of two scales."""
    import numpy as np
    from PIL import Image

    grey = _grey_middle(pixels)
    rows, columns = grey.shape[0] // PATCH, grey.shape[1] // PATCH
    if rows == 0 or columns == 0:
        return np.zeros((0, _FEATURES)), np.zeros(0)
    grey = grey[: rows * PATCH, : columns * PATCH]
    half = Image.fromarray(grey.astype(np.float32)).resize(
        (grey.shape[1] // 2, grey.shape[0] // 2), Image.Resampling.BICUBIC
    )
    normal, deviation = _normalised(grey)
    coarse, _ = _normalised(np.asarray(half, dtype=np.float64))
    features = [_features(_patches(normal, PATCH)), _features(_patches(coarse, PATCH // 2))]
    return np.concatenate(features, axis=1), _patches(deviation, PATCH).mean(axis=(1, 2))


def _grey_middle(pixels: NDArray[np.uint8]) -> Array:
    import numpy as np

    top, left = (max(0, (side - _MOST_SIDE) // 2) for side in pixels.shape[:2])
    middle = pixels[top : top + _MOST_SIDE, left : left + _MOST_SIDE]
    if middle.ndim == 2:
        return middle.astype(np.float64)
    # ITU-R BT.601.
    return np.asarray(middle[:, :, :3] @ np.array([0.299, 0.587, 0.114]), dtype=np.float64)


def _patches(values: Array, side: int) -> Array:
    rows, columns = values.shape[0] // side, values.shape[1] // side
    return values.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)


def _normalised(grey: Array) -> tuple[Array, Array]:
    """Return values with the mean of their neighbourhood subtracted, divided by its deviation plus 1; and that deviation."""
    import numpy as np
    from scipy.ndimage import gaussian_filter

    def around(values: Array) -> Array:
        # A window of 7 by 7.
        return np.asarray(gaussian_filter(values, 7 / 6, mode="nearest", radius=3))

    mean = around(grey)
    deviation = np.sqrt(np.abs(around(grey * grey) - mean * mean))
    return (grey - mean) / (deviation + 1), deviation


def _features(patches: Array) -> Array:
    import numpy as np

    columns = _symmetric(patches)
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        columns += _asymmetric(patches * np.roll(patches, (down, across), axis=(1, 2)))
    return np.stack(columns, axis=1)


def _symmetric(patches: Array) -> list[Array]:
    """Return shape and variance of a generalised Gaussian of mean 0, for every patch (Sharifi and Leon-Garcia 1995)."""
    import numpy as np

    variance = (patches**2).mean(axis=(1, 2))
    ratio = variance / np.maximum(np.abs(patches).mean(axis=(1, 2)) ** 2, _TINY)
    shapes, ratios = _table()
    # The ratio falls as the shape grows.
    return [np.interp(ratio, ratios[::-1], shapes[::-1]), variance]


def _asymmetric(products: Array) -> list[Array]:
    """Return shape, mean and both variances of an asymmetric generalised Gaussian, for every patch (Lasmar et al. 2009)."""
    import numpy as np
    from scipy.special import gamma

    squares = products**2
    below = products < 0
    counts = below.sum(axis=(1, 2)), (~below).sum(axis=(1, 2))
    left = np.sqrt(np.where(below, squares, 0).sum(axis=(1, 2)) / np.maximum(counts[0], 1))
    right = np.sqrt(np.where(below, 0, squares).sum(axis=(1, 2)) / np.maximum(counts[1], 1))
    skew = left / np.maximum(right, _TINY)
    plain = np.maximum(np.abs(products).mean(axis=(1, 2)) ** 2, _TINY) / np.maximum(squares.mean(axis=(1, 2)), _TINY)
    ratio = plain * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shapes, ratios = _table()
    shape = np.interp(1 / np.maximum(ratio, _TINY), ratios[::-1], shapes[::-1])
    spread = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    mean = (right - left) * spread * gamma(2 / shape) / gamma(1 / shape)
    return [shape, mean, left**2, right**2]


def _table() -> tuple[Any, Any]:
    """Return shapes of a generalised Gaussian, and for each the ratio of its variance to its squared mean magnitude."""
    import numpy as np
    from scipy.special import gamma

    shapes = np.arange(0.2, 10, 0.001)
    return shapes, gamma(1 / shapes) * gamma(3 / shapes) / gamma(2 / shapes) ** 2
