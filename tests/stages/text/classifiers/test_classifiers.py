from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tiny_graphs import tiny_graph

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, OptionError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text import classifiers
from nemo_curator.stages.text.classifiers import (
    AegisClassifier,
    ClassifierStage,
    FineWebEduClassifier,
    InstructionDataGuardClassifier,
    PromptModel,
    PromptTaskComplexityClassifier,
    QualityClassifier,
    ToxicityClassifier,
)
from nemo_curator.stages.text.filters.fasttext import default_langid_model
from nemo_curator.stages.text.models import LabelModel, LinearModel, OnnxLabelModel, train_linear_model
from nemo_curator.tasks import DocumentBatch

NAMED = [name for name in classifiers.__all__ if name.endswith("Classifier")]
COLUMN_OF_LABEL = {
    "AegisClassifier": "aegis_pred",
    "ContentTypeClassifier": "content_pred",
    "DomainClassifier": "domain_pred",
    "FineWebEduClassifier": "fineweb-edu-score-label",
    "FineWebMixtralEduClassifier": "fineweb-mixtral-edu-score-label",
    "FineWebNemotronEduClassifier": "fineweb-nemotron-edu-score-label",
    "InstructionDataGuardClassifier": "is_poisoned",
    "MultilingualDomainClassifier": "multilingual_domain_pred",
    "QualityClassifier": "quality_pred",
    "ToxicityClassifier": "toxicity_pred",
}
BATCH_SIZES = {"Aegis": 64, "InstructionData": 64, "FineWebMixtral": 1024, "FineWebNemotron": 1024}


class Lengths(LabelModel):
    """`short` under five characters, else `long`; counts what it was asked."""

    def __init__(self, labels: Sequence[str] = ("short", "long")) -> None:
        self._labels = list(labels)
        self.asked: list[list[str]] = []
        self.loads = 0

    def _load(self) -> Any:
        self.loads += 1
        return True

    @property
    def labels(self) -> list[str]:
        return self._labels

    def probabilities(self, texts: Sequence[str]) -> Any:
        self.asked.append(list(texts))
        rows = [[0.75, 0.25] if len(text) < 5 else [0.125, 0.875] for text in texts]
        return np.array(rows, dtype=np.float32).reshape(-1, 2)


class Score(LabelModel):
    """The text, read as a number."""

    def _load(self) -> Any:
        return True

    @property
    def labels(self) -> list[str]:
        return ["score"]

    def probabilities(self, texts: Sequence[str]) -> Any:
        return np.array([[float(text)] for text in texts], dtype=np.float32).reshape(-1, 1)


def _table(*texts: str | None) -> DocumentBatch:
    return DocumentBatch(dataset_name="d", data=pa.table({"text": pa.array(texts, pa.string())}))


def _run(stage: Any, batch: DocumentBatch) -> pa.Table:
    stage.setup_on_node()
    stage.setup()
    return stage.process(batch).to_pyarrow()


def test_a_model_is_not_asked_about_what_is_not_text() -> None:
    model = Lengths()
    stage = ClassifierStage(model, "size")
    stage.setup()
    with pytest.raises(DataError, match=rf"stage '{stage.name}': column 'text' of task d is not text: 2 of 2 .*int"):
        stage.process(DocumentBatch(dataset_name="d", data=pa.table({"text": [1, 2]})))
    assert model.asked == []


def test_label_score_and_probabilities() -> None:
    stage = ClassifierStage(Lengths(), "size", "sure", probabilities_field="all")
    out = _run(stage, _table("abc", "", "abcdefgh", None, " \n", "日本語", "שלום עולם", "👍🏽"))
    assert stage.outputs() == (["data"], ["size", "sure", "all"])
    assert out["size"].to_pylist() == ["short", None, "long", None, None, "short", "long", "short"]
    assert out["sure"].to_pylist() == [0.75, None, 0.875, None, None, 0.75, 0.875, 0.75]
    assert out["all"].to_pylist()[:3] == [[0.75, 0.25], None, [0.125, 0.875]]
    assert out.schema.types[1:] == [pa.string(), pa.float32(), pa.list_(pa.float32(), 2)]


@pytest.mark.parametrize("texts", [[], ["", None], ["abc"]])
def test_all_batches_have_one_schema(texts: list[str | None]) -> None:
    stage = ClassifierStage(Lengths(), "size", "sure", probabilities_field="all")
    kinds = [pa.string(), pa.string(), pa.float32(), pa.list_(pa.float32(), 2)]
    assert _run(stage, _table(*texts)).schema.types == kinds
    frame = DocumentBatch(dataset_name="d", data=pd.DataFrame({"text": pd.Series(texts, dtype=object)}))
    as_table = _run(stage, frame)
    assert as_table.schema.field("all").type == pa.list_(pa.float32(), 2)
    assert as_table.schema.field("sure").type == pa.float32()


def test_a_frame_keeps_its_index_and_is_left_as_it_was() -> None:
    frame = pd.DataFrame({"text": ["abc", "abcdefg"]}, index=[7, 9])
    stage = ClassifierStage(Lengths(), "size", filter_by=["long"])
    stage.setup()
    out = stage.process(DocumentBatch(dataset_name="d", data=frame)).to_pandas()
    assert out.index.tolist() == [9]
    assert list(frame.columns) == ["text"]


def test_filter_by_drops_and_says_why() -> None:
    stage = ClassifierStage(Lengths(), "size", filter_by=["long"])
    assert _run(stage, _table("abc", "", "abcdefgh", "ab")).column("text").to_pylist() == ["abcdefgh"]
    assert stage._consume_drops() == {"size_blank": 1, "size_other": 2}


def test_the_score_of_a_label_that_was_named() -> None:
    out = _run(ClassifierStage(Lengths(), "size", "long", score_label="long"), _table("abc", "abcdef"))
    assert out["long"].to_pylist() == [0.25, 0.875]


def test_a_model_is_loaded_once_and_asked_in_batches_of_like_length() -> None:
    model = Lengths()
    stage = ClassifierStage(model, model_inference_batch_size=2, max_chars=4)
    stage.setup()
    stage.setup()
    stage.process(_table("a", "bbbbbbb", "cc", "", "ddd"))
    assert model.loads == 1
    assert model.asked == [["bbbb", "ddd"], ["cc", "a"]]
    assert stage.ray_stage_spec()["is_actor_stage"]


def test_unknown_labels_are_found_when_the_model_is_there() -> None:
    with pytest.raises(OptionError, match="no label 'tall'; it has: short, long"):
        ClassifierStage(Lengths(), filter_by=["tall"]).setup()


@pytest.mark.parametrize(
    ("options", "said"),
    [({"filter_by": "long"}, r"write \['long'\]"), ({"model_inference_batch_size": 0}, "1 or more")],
)
def test_options_that_make_no_sense(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        ClassifierStage(Lengths(), **options)


def test_a_stage_travels_without_its_model(tmp_path: Path) -> None:
    stage = ClassifierStage(default_langid_model())
    stage.setup()
    assert len(pickle.dumps(stage)) < 3000


@pytest.fixture
def quality(tmp_path: Path) -> LinearModel:
    pytest.importorskip("sklearn")
    good = ["a clear sentence about a thing", "another clear sentence about the world", "a good and clear text"]
    bad = ["click here buy now", "buy cheap now click", "click click click buy"]
    return train_linear_model(good + bad, ["high"] * 3 + ["low"] * 3, tmp_path / "q.npz", buckets=2**12)


def test_linear_it_is_the_same_inline_in_threads_and_in_processes(everywhere: Any, quality: LinearModel) -> None:
    stage = QualityClassifier(model=quality.path, score_field="sure", filter_by=["high"])
    tasks = [_table("a clear text", "buy now", ""), _table("click here"), _table("a sentence about the world")]
    tables, report = everywhere(stage, tasks=tasks)
    assert [table["quality_pred"].to_pylist() for table in tables] == [["high"], [], ["high"]]
    assert report.stage("QualityClassifier_model").items_dropped == {"quality_pred_other": 2, "quality_pred_blank": 1}


def test_onnx_it_is_the_same_inline_in_threads_and_in_processes(everywhere: Any, tmp_path: Path) -> None:
    model = OnnxLabelModel(tiny_graph(tmp_path, pooled=True), ["good", "bad"])
    tables, _ = everywhere(
        ClassifierStage(model, "tone", "sure"), tasks=[_table("good fine"), _table("awful bad bad", None)]
    )
    assert [table["tone"].to_pylist() for table in tables] == [["good"], ["bad", None]]


# By name


@pytest.mark.parametrize(
    "name", [name for name in NAMED if name not in {"PromptTaskComplexityClassifier", "ToxicityClassifier"}]
)
def test_named_classifiers_take_a_model(name: str) -> None:
    kind = getattr(classifiers, name)
    score = name.startswith("FineWeb")
    stage = kind(
        model=Score() if score else Lengths(), text_field="body", max_chars=4, cache_dir="cache", autocast=False
    )
    (inner,) = stage.decompose_and_apply_with()
    assert inner.label_field == COLUMN_OF_LABEL[name]
    assert inner.inputs() == (["data"], ["body"])
    sizes = [size for start, size in BATCH_SIZES.items() if name.startswith(start)] or [256]
    assert inner.model_inference_batch_size == sizes[0]
    batch = DocumentBatch(dataset_name="d", data=pa.table({"body": ["3.141", "", "4"]}))
    assert len(_run(inner, batch)[COLUMN_OF_LABEL[name]].to_pylist()) == 3


@pytest.mark.parametrize("name", [name for name in NAMED if not name.startswith(("FineWeb", "Toxicity"))])
def test_without_a_model_the_plan_says_what_is_missing(name: str) -> None:
    with pytest.raises(OptionError, match=rf"{name} has no model: the published one, nvidia/.*model="):
        Pipeline("p", stages=[getattr(classifiers, name)()]).build()


def test_the_educational_score_without_torch_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (inner,) = FineWebEduClassifier().decompose()
    with pytest.raises(ImportError, match=r"'HuggingFaceFW/fineweb-edu-classifier' needs the package 'torch'"):
        inner.setup_on_node()


def test_educational_scores() -> None:
    (inner,) = FineWebEduClassifier(model=Score(), filter_by=["high_quality"]).decompose()
    out = _run(inner, _table("2.4", "2.5", "", "-1", "7.25"))
    assert out["fineweb-edu-score-float"].to_pylist() == [2.5, 7.25]
    assert out["fineweb-edu-score-int"].to_pylist() == [2, 5]
    assert inner._consume_drops() == {"fineweb-edu-score-label_blank": 1, "fineweb-edu-score-label_other": 2}
    with pytest.raises(DataError, match="2 labels"):
        FineWebEduClassifier(model=Lengths()).decompose()[0].setup()


@pytest.mark.parametrize(("labels", "poisoned"), [(("true", "false"), 0.75), (("LABEL_0", "LABEL_1"), 0.25)])
def test_the_guard_finds_its_label(labels: tuple[str, str], poisoned: float) -> None:
    (inner,) = InstructionDataGuardClassifier(model=Lengths(labels)).decompose()
    out = _run(inner, _table("abc"))
    assert out["is_poisoned"].to_pylist() == ["true" if poisoned > 0.5 else "false"]
    assert out["instruction_data_guard_poisoning_score"].to_pylist() == [poisoned]


class Describer(PromptModel):
    def _load(self) -> Any:
        return True

    def describe(self, texts: Sequence[str]) -> list[Any]:
        return [{"task_type_1": text.split()[0], "prompt_complexity_score": len(text) / 10} for text in texts]


def test_prompts_are_described_in_eleven_columns() -> None:
    (inner,) = PromptTaskComplexityClassifier(model=Describer(), model_inference_batch_size=1).decompose()
    out = _run(inner, _table("Write a poem", "", "Sum up"))
    assert len(inner.outputs()[1]) == 11
    assert out["task_type_1"].to_pylist() == ["Write", None, "Sum"]
    assert out["prompt_complexity_score"].to_pylist() == [1.2, None, 0.6]
    with pytest.raises(NotImplementedError, match="no label"):
        PromptTaskComplexityClassifier(filter_by=["x"])


@pytest.mark.slow
def test_toxicity_with_the_model_of_a_package(everywhere: Any) -> None:
    pytest.importorskip("profanity_check")
    stage = ToxicityClassifier(filter_by=["clean"])
    tables, _ = everywhere(stage, tasks=[_table("you stupid idiot", "a lovely day"), _table("")])
    assert [table["text"].to_pylist() for table in tables] == [["a lovely day"], []]


def test_what_has_no_meaning_here_is_refused() -> None:
    for options in ({"keep_tokens": True}, {"use_existing_tokens": True}):
        with pytest.raises(OptionError, match="tokens"):
            QualityClassifier(**options)
    with pytest.raises(OptionError, match="keep_raw_output"):
        AegisClassifier(keep_raw_output=True)


def test_what_is_dropped_may_be_kept_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "dropped"
    classifier = QualityClassifier(model=default_langid_model(), filter_by=["en"], exclusions=str(folder))
    texts = ["All of this is written in English.", "Das ist auf Deutsch geschrieben.", ""]
    batch = DocumentBatch(dataset_name="d", data=pa.table({"text": texts}))
    pipeline = Pipeline("quality", stages=[classifier])
    (out,) = pipeline.run(LocalExecutor(mode="inline"), initial_tasks=[batch]) or []
    assert out.to_pyarrow()["text"].to_pylist() == texts[:1]
    (file,) = folder.glob("*.jsonl")
    assert [json.loads(line) for line in file.read_text().splitlines()] == [
        {"text": texts[1], "drop_reason": "quality_pred_other"},
        {"text": "", "drop_reason": "quality_pred_blank"},
    ]
    with pytest.raises(OptionError, match="needs filter_by"):
        ClassifierStage(default_langid_model(), exclusions="x")
