from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tiny_graphs import WORDS, tiny_graph

from nemo_curator.engine.fingerprint import digest_of
from nemo_curator.errors import DataError, InputError, MissingExtra, OptionError
from nemo_curator.stages.text.embedders import EmbeddingModelStage, EmbeddingStage, VLLMEmbeddingModelStage
from nemo_curator.stages.text.models import ModelStage, OnnxEmbeddingModel, TokenizerStage, format_name_with_suffix
from nemo_curator.stages.text.models.onnx import padded
from nemo_curator.tasks import DocumentBatch

TEXTS = ["good", "bad bad fine", "", None, "awful good", "fine fine fine fine"]


def table(*texts: str | None) -> DocumentBatch:
    data = pa.table({"id": pa.array(range(len(texts)), pa.int64()), "text": pa.array(texts, pa.string())})
    return DocumentBatch(dataset_name="d", data=data)


def tokenized(stage: TokenizerStage, *texts: str | None) -> DocumentBatch:
    stage.setup_on_node()
    stage.setup()
    return stage.process(table(*texts))


class WordSums(ModelStage):
    """Adds up the vectors of the words of a text."""

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], ["sums", "batch"]

    def process_model_output(self, outputs: Any, model_input_batch: Mapping[str, Any] | None = None) -> dict[str, Any]:
        assert model_input_batch is not None
        mask = model_input_batch["attention_mask"][:, :, None]
        return {"sums": (outputs * mask).sum(axis=1), "batch": np.full(len(outputs), mask.shape[1])}

    def create_output_dataframe(self, df_cpu: pd.DataFrame, collected_output: Mapping[str, Any]) -> pd.DataFrame:
        return df_cpu.assign(sums=collected_output["sums"].tolist(), width=collected_output["batch"])


def test_tokens_are_columns_and_rows_are_sorted(tmp_path: Path) -> None:
    tiny_graph(tmp_path, pooled=False)
    out = tokenized(TokenizerStage(str(tmp_path)), *TEXTS).to_pyarrow()
    assert out["_curator_seq_order"].to_pylist() == [5, 1, 4, 0, 2, 3]
    assert out["id"].to_pylist() == [5, 1, 4, 0, 2, 3]
    assert out["input_ids"].to_pylist()[:3] == [[3] * 4, [2, 2, 3], [4, 1]]
    assert out["attention_mask"].to_pylist()[1] == [1, 1, 1]
    assert out.schema.field("input_ids").type == pa.list_(pa.int32())
    empty = tokenized(TokenizerStage(str(tmp_path))).to_pyarrow()
    assert empty.schema.types == out.schema.types


@pytest.mark.parametrize("identifier", ["", "tokenizer.json", "tiny.onnx"], ids=["folder", "file", "graph"])
def test_a_tokenizer_goes_by_several_names(tmp_path: Path, identifier: str) -> None:
    tiny_graph(tmp_path, pooled=False)
    stage = TokenizerStage(str(tmp_path / identifier), max_chars=8, max_seq_length=1, sort_by_length=False)
    out = tokenized(stage, "bad good fine", "x").to_pyarrow()
    assert out["input_ids"].to_pylist() == [[WORDS["bad"]], [WORDS["[UNK]"]]]
    assert "_curator_seq_order" not in out.column_names
    assert stage.outputs() == (["data"], ["input_ids", "attention_mask"])


def test_a_frame_with_broken_unicode(tmp_path: Path) -> None:
    tiny_graph(tmp_path, pooled=False)
    frame = pd.DataFrame({"text": pd.Series(["good \ud800", None], dtype=object)})
    out = TokenizerStage(str(tmp_path)).process(DocumentBatch(dataset_name="d", data=frame)).to_pandas()
    assert [list(tokens) for tokens in out["input_ids"]] == [[1, 0], []]


def test_wrong_tokenizers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tokenizers")
    with pytest.raises(InputError, match=r"tokenizer is not there: no file at .*none\.json"):
        TokenizerStage(str(tmp_path / "none.json")).setup_on_node()
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(DataError, match=r"is not a tokenizer\.json"):
        TokenizerStage(str(tmp_path)).setup()
    for options in ({"max_chars": 0}, {"max_seq_length": 0}, {"padding_side": "top"}):
        with pytest.raises(OptionError):
            TokenizerStage("x", **options)  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="tokenizer of 'org/name' needs the package 'transformers'"):
        TokenizerStage("org/name").setup_on_node()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("sort", [True, False])
@pytest.mark.parametrize("size", [1, 2, 100])
def test_rows_come_back_in_their_order_however_batches_are_made(
    tmp_path: Path, side: Any, sort: bool, size: int
) -> None:
    graph = str(tiny_graph(tmp_path, pooled=False))
    words = TokenizerStage(graph, sort_by_length=sort)
    model = EmbeddingModelStage(graph, model_inference_batch_size=size, has_seq_order=sort, padding_side=side)
    assert model.name == "tiny_onnx_embedding_model"
    words.setup()
    out = model.process(words.process(table(*TEXTS)))
    at_once = EmbeddingStage(OnnxEmbeddingModel(graph))
    at_once.setup()
    expected = at_once.process(table(*TEXTS)).to_pyarrow()
    got = out.to_pyarrow()
    assert got.column_names == ["id", "text", "embeddings"]
    assert got["text"].to_pylist() == TEXTS
    assert got.schema.field("embeddings").type == pa.list_(pa.float32(), 2)
    blank = [0.0, 0.0]  # two stages show it to the model, as a token that nobody knows
    wanted = [blank if row is None else row for row in expected["embeddings"].to_pylist()]
    assert np.allclose(got["embeddings"].to_pylist(), wanted)


def test_it_is_the_same_inline_in_threads_and_in_processes(tmp_path: Path, everywhere: Any) -> None:
    graph = str(tiny_graph(tmp_path, pooled=False))
    stages = [TokenizerStage(graph), EmbeddingModelStage(graph, model_inference_batch_size=2)]
    tables, _ = everywhere(*stages, tasks=[table(*TEXTS), table("awful")])
    assert [len(each) for each in tables] == [len(TEXTS), 1]


def test_a_subclass_says_what_becomes_of_the_output(tmp_path: Path) -> None:
    graph = str(tiny_graph(tmp_path, pooled=False))
    tokens = tokenized(TokenizerStage(graph), *TEXTS)
    stage = WordSums(graph, model_inference_batch_size=2, keep_tokens=True)
    stage.setup_on_node()
    before = digest_of(stage)
    stage.setup()
    out = stage.process(tokens).to_pandas()
    assert [list(sums) for sums in out["sums"]][:2] == [[2.0, 0.0], [1.0, 4.0]]
    assert out["width"].tolist() == [2, 4, 1, 1, 2, 4]  # of batches of like length
    assert out["id"].tolist() == list(range(6))
    assert "input_ids" in out.columns
    assert b"onnxruntime" not in pickle.dumps(stage)
    stage.teardown()
    assert digest_of(stage) == before
    empty = stage.process(tokenized(TokenizerStage(graph)))
    assert empty.num_items == 0


def test_a_model_of_ones_own_is_called_with_arrays_by_name(tmp_path: Path) -> None:
    class Lengths(WordSums):
        def _setup(self, local_files_only: bool = True) -> None:
            self.model = lambda input_ids, attention_mask: attention_mask[:, :, None] * np.ones((1, 1, 2))

    stage = Lengths("mine", unpack_inference_batch=True, has_seq_order=False)
    tokens = tokenized(TokenizerStage(str(tiny_graph(tmp_path, pooled=False)), sort_by_length=False), *TEXTS)
    assert [sums[0] for sums in stage.process(tokens).to_pandas()["sums"]] == [1, 3, 1, 1, 2, 4]


def test_tokens_that_were_padded_before(tmp_path: Path) -> None:
    graph = str(tiny_graph(tmp_path, pooled=False))
    frame = pd.DataFrame({"input_ids": [[2, 1, 0], [0, 0, 0]], "attention_mask": [[1, 1, 0], [0, 0, 0]]})
    stage = EmbeddingModelStage(graph, has_seq_order=False)
    vectors = stage.process(DocumentBatch(dataset_name="d", data=frame)).to_pyarrow()["embeddings"].to_pylist()
    assert np.allclose(vectors, [[0.5**0.5, 0.5**0.5], [0, 0]])
    wrong = pd.DataFrame({"input_ids": [[1, 2]], "attention_mask": [[1]]})
    with pytest.raises(DataError, match="a row has 2 tokens and a mask of 1"):
        stage.process(DocumentBatch(dataset_name="d", data=wrong))


def test_another_number_of_entries_is_refused(tmp_path: Path) -> None:
    class Fewer(WordSums):
        def process_model_output(self, outputs: Any, model_input_batch: Any = None) -> dict[str, Any]:
            return {"sums": outputs[:1]}

    graph = str(tiny_graph(tmp_path, pooled=False))
    with pytest.raises(DataError, match="gave 1 entries of 'sums' for 6 texts"):
        Fewer(graph).process(tokenized(TokenizerStage(graph), *TEXTS))
    with pytest.raises(OptionError, match="model_inference_batch_size"):
        WordSums(graph, model_inference_batch_size=0)


@pytest.mark.parametrize(("side", "mask"), [("right", [[1, 1], [1, 0], [1, 0]]), ("left", [[1, 1], [0, 1], [0, 1]])])
def test_padding(side: str, mask: list[list[int]]) -> None:
    batch = padded([[5, 6], [7], []], side)
    assert batch["attention_mask"].tolist() == mask
    assert batch["input_ids"].tolist() == [[5, 6], [7, 0] if side == "right" else [0, 7], [0, 0]]


@pytest.mark.parametrize(
    ("model", "name"),
    [("org/Some-Model", "some_model_classifier"), ("a/b.c/", "b_c_classifier"), ("plain", "plain_classifier")],
)
def test_names(model: str, name: str) -> None:
    assert format_name_with_suffix(model) == name


class StandInForVllm:
    """As much of vLLM's class as is used: each text's vector is its number of tokens."""

    def __init__(self, model: str, **options: Any) -> None:
        assert (model, options) == ("m", {"runner": "pooling", "download_dir": "cache", "seed": 1})
        config = SimpleNamespace(max_model_len=3, get_hidden_size=lambda: 2)
        self.llm_engine = SimpleNamespace(model_config=config)

    def get_tokenizer(self) -> Any:
        return lambda texts, truncation, max_length: {"input_ids": [text.split()[:max_length] for text in texts]}

    def embed(self, prompts: list[Any], use_tqdm: bool) -> list[Any]:
        lengths = [
            len(prompt["prompt_token_ids"] if isinstance(prompt, dict) else prompt.split()) for prompt in prompts
        ]
        return [SimpleNamespace(outputs=SimpleNamespace(embedding=[float(n), 0.5])) for n in lengths]


@pytest.mark.parametrize(("pretokenize", "most"), [(True, 3.0), (False, 4.0)])
def test_vllm_is_given_texts_or_tokens(monkeypatch: pytest.MonkeyPatch, pretokenize: bool, most: float) -> None:
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(LLM=StandInForVllm, __spec__=object()))
    stage = VLLMEmbeddingModelStage(
        "m",
        {"seed": 1},
        pretokenize=pretokenize,
        cache_dir="cache",
        metadata_fields=["id"],
        model_inference_batch_size=2,
        embedding_output_dtype="float16",
    )
    assert stage.resources.gpus == 1
    stage.setup_on_node()
    stage.setup()
    out = stage.process(table(*TEXTS)).to_pyarrow()
    assert out.column_names == ["id", "embeddings"]
    assert out.schema.field("embeddings").type == pa.list_(pa.float16(), 2)
    first = [row and row[0] for row in out["embeddings"].to_pylist()]
    assert first == [1.0, 3.0, None, None, 2.0, most]


def test_without_vllm() -> None:
    stage = VLLMEmbeddingModelStage("m")
    with pytest.raises(MissingExtra, match=r"'m' needs the package 'vllm'.*curator-backends\[vllm\]"):
        stage.setup_on_node()
    with pytest.raises(OptionError, match="embedding_output_dtype"):
        VLLMEmbeddingModelStage("m", embedding_output_dtype="int8")  # pyright: ignore[reportArgumentType]
