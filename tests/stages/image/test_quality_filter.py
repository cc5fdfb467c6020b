"""Damaged photographs are told from good ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_media import batch_of, encoded, gradient, photo
from PIL import Image, ImageFilter

from nemo_curator.errors import DataError, InputError
from nemo_curator.stages.image.filters import ImageQualityFilterStage
from nemo_curator.stages.image.filters.naturalness import (
    DEFAULT_MODEL,
    NaturalnessModel,
    fit_naturalness,
    patch_features,
)
from nemo_curator.stages.image.io.decode import DecodeOptions, decode

GOOD = ("astronaut.png", "brick.png", "coffee.png", "grass.png", "gravel.png", "motorcycle_left.png", "rocket.jpg")


def pixels(name: str) -> np.ndarray:
    return np.asarray(photo(name))


def test_each_further_damage_is_further_away() -> None:
    """The photograph judged is not among those that the model is made of."""
    model = fit_naturalness(map(pixels, GOOD))
    cat = photo("chelsea.png")
    blurs = [np.asarray(cat.filter(ImageFilter.GaussianBlur(radius))) for radius in (0, 1, 2, 4)]
    compressed = [decode(encoded(cat, quality=quality), DecodeOptions()) for quality in (95, 50, 20, 5)]
    for series in (blurs, compressed):
        distances = [model.distance(each) for each in series]
        assert distances == sorted(distances)  # pyright: ignore[reportArgumentType, reportCallIssue]
        assert distances[-1] > 2 * distances[0]  # pyright: ignore[reportOperatorIssue]


def test_bad_images_are_left_out_and_small_ones_as_asked() -> None:
    cat = photo("chelsea.png")
    images = [cat, cat.filter(ImageFilter.GaussianBlur(3)), Image.new("RGB", (200, 200), (9, 9, 9)), gradient(95, 300)]
    stage = ImageQualityFilterStage()
    task = batch_of(*images)
    kept = stage.process(task)
    assert [image.image_id for image in kept.data] == ["image_0", "image_3"]
    assert stage._consume_drops() == {"low_quality": 2}
    assert task.data[3].metadata == {"quality_distance": None}
    strict = ImageQualityFilterStage(keep_unscored=False)
    assert [image.image_id for image in strict.process(batch_of(*images)).data] == ["image_0"]
    assert strict._consume_drops() == {"low_quality": 2, "too_small": 1}


def test_a_model_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    model = fit_naturalness(map(pixels, GOOD), path)
    again = NaturalnessModel.load(path)
    assert np.array_equal(again.mean, model.mean)
    stage = ImageQualityFilterStage(model_path=str(path), score_threshold=0)
    stage.check_before_run()
    assert stage.process(batch_of(photo("chelsea.png"))).num_items == 0


def test_models_that_are_none_are_found_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not there"):
        ImageQualityFilterStage(model_path=str(tmp_path / "none.npz")).check_before_run()
    np.savez(tmp_path / "other.npz", mean=np.zeros(3), covariance=np.zeros((3, 3)))
    with pytest.raises(DataError, match="fit_naturalness"):
        ImageQualityFilterStage(model_path=str(tmp_path / "other.npz")).check_before_run()
    with pytest.raises(DataError, match="more than 36"):
        fit_naturalness([np.asarray(gradient(200, 200))])


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 255), st.booleans())
def test_any_image_has_a_finite_distance_or_none(width: int, height: int, value: int, grey: bool) -> None:
    shape = (height, width) if grey else (height, width, 3)
    flat = np.full(shape, value, np.uint8)
    flat[::7] //= 2
    distance = NaturalnessModel.load(DEFAULT_MODEL).distance(flat)
    assert (distance is None) == (min(width, height) < 96)
    assert distance is None or np.isfinite(distance)


def test_of_large_images_the_middle_counts() -> None:
    features, sharpness = patch_features(np.zeros((2000, 3000, 3), np.uint8))
    assert features.shape == (16 * 16, 36)
    assert sharpness.shape == (256,)
