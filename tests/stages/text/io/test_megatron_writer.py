from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.io.writer import MegatronTokenizerWriter
from nemo_curator.tasks import DocumentBatch, FileGroupTask
from nemo_curator.utils.output_manifest import check_output

WORDS = {"?": 0, "one": 1, "two": 2, "three": 3, "</s>": 4, "[CLS]": 5}
TEXTS = ["one two three", "", "two", None, "three four"]


class Dataset(NamedTuple):
    documents: list[list[int]]
    code: int
    indices: list[int]


def tokenizer(folder: Path, size: int = 0) -> str:
    tokenizers = pytest.importorskip("tokenizers")
    words = {**WORDS, **{f"w{number}": number for number in range(len(WORDS), size)}}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="?"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    # What a model wants around a text is no part of a data set.
    made.post_processor = tokenizers.processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 5)])
    made.save(str(folder / "tokenizer.json"))
    return str(folder)


def batch(*texts: str | None) -> DocumentBatch:
    task = DocumentBatch(dataset_name="d", data=pa.table({"text": pa.array(texts, pa.string())}))
    task._set_task_id("", "0_0")
    return task


def read(index: bytes, tokens: bytes) -> Dataset:
    """Read the two files as the format's description has it."""
    assert index[:9] == b"MMIDIDX\x00\x00"
    version, code, sequences, documents = struct.unpack("<QBQQ", index[9:34])
    assert (version, documents) == (1, sequences + 1)
    at = 34
    lengths = np.frombuffer(index, "<i4", sequences, at)
    offsets = np.frombuffer(index, "<i8", sequences, at + 4 * sequences)
    indices = np.frombuffer(index, "<i8", documents, at + 12 * sequences)
    assert len(index) == at + 12 * sequences + 8 * documents
    kind = np.dtype({4: "<i4", 8: "<u2"}[code])
    found = [
        np.frombuffer(tokens, kind, n, at).tolist() for n, at in zip(lengths.tolist(), offsets.tolist(), strict=True)
    ]
    assert len(tokens) == lengths.sum() * kind.itemsize
    return Dataset(found, code, indices.tolist())


def write(stage: MegatronTokenizerWriter, *texts: str | None) -> tuple[FileGroupTask, Dataset]:
    stage.check_before_run()
    stage.setup_on_node()
    stage.setup()
    out = stage.process(batch(*texts))
    tokens, index = (Path(path) for path in out.data)
    assert (tokens.suffix, index.suffix) == (".bin", ".idx")
    return out, read(index.read_bytes(), tokens.read_bytes())


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_every_document_is_a_sequence(tmp_path: Path, size: int) -> None:
    stage = MegatronTokenizerWriter(
        str(tmp_path / "out"), model_identifier=tokenizer(tmp_path), tokenization_batch_size=size
    )
    out, data = write(stage, *TEXTS)
    assert data == Dataset([[1, 2, 3], [2], [3, 0]], 8, [0, 1, 2, 3])
    assert stage._consume_drops() == {"no_tokens": 2}
    prefix = out.data[0].removesuffix(".bin")
    facts = {"format": "megatron", "file_prefix": prefix, "num_tokens": 6, "token_size": 2, "eod_token_id": 4}
    assert out._metadata.items() >= facts.items()
    assert {(Path(file.path).suffix, file.rows) for file in stage._consume_written()} == {(".bin", 5), (".idx", 0)}


def test_documents_may_end_in_a_token(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stage = MegatronTokenizerWriter(str(tmp_path / "out"), model_identifier=tokenizer(tmp_path), append_eod=True)
    assert write(stage, *TEXTS)[1].documents == [[1, 2, 3, 4], [2, 4], [3, 0, 4]]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "two"}}))
    assert write(stage, "one")[1].documents == [[1, 2]]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<none>"}))
    out, data = write(stage, "one")
    assert data.documents == [[1]]
    assert out._metadata["eod_token_id"] is None
    assert "has no end-of-sequence token" in caplog.text
    (tmp_path / "tokenizer_config.json").write_text("[]")
    with pytest.raises(DataError, match="not the configuration of a tokenizer"):
        write(stage, "one")


@pytest.mark.parametrize(("size", "code"), [(65_536, 8), (65_537, 4)])
def test_a_large_vocabulary_takes_32_bits(tmp_path: Path, size: int, code: int) -> None:
    stage = MegatronTokenizerWriter(str(tmp_path / "out"), model_identifier=tokenizer(tmp_path, size))
    _, data = write(stage, f"one w{size - 1}", "w60000")
    assert data == Dataset([[1, size - 1], [60_000]], code, [0, 1, 2])


def test_a_batch_without_documents(tmp_path: Path) -> None:
    stage = MegatronTokenizerWriter(str(tmp_path / "out"), model_identifier=tokenizer(tmp_path))
    assert write(stage)[1] == Dataset([], 8, [0])


@pytest.mark.parametrize("mode", ["inline", "threads", "processes"])
def test_it_is_the_same_in_every_mode(mode: Literal["inline", "threads", "processes"], tmp_path: Path) -> None:
    writer = MegatronTokenizerWriter(str(tmp_path / "out"), model_identifier=tokenizer(tmp_path), mode="overwrite")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.idx").write_bytes(b"old")
    tasks = [batch(*TEXTS), batch("one"), batch("two two")]
    executor = LocalExecutor(mode=mode, num_workers=2, preserve_order=True)
    outputs = Pipeline("tokens", stages=[writer]).run(executor, initial_tasks=tasks) or []
    found = [read(*(Path(path).read_bytes() for path in reversed(out.data))).documents for out in outputs]
    assert found == [[[1, 2, 3], [2], [3, 0]], [[1]], [[2, 2]]]
    assert check_output(str(tmp_path / "out")) == []
    assert sorted(path.suffix for path in (tmp_path / "out").glob("*.[bi]*")) == [".bin"] * 3 + [".idx"] * 3


def test_nothing_is_left_of_a_batch_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = MegatronTokenizerWriter(
        str(tmp_path / "out"), model_identifier=tokenizer(tmp_path), tokenization_batch_size=1
    )
    stage.setup()
    with pytest.raises(KeyError):
        stage.process(DocumentBatch(dataset_name="d", data=pa.table({"other": ["one"]})))
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_a_url(tmp_path: Path) -> None:
    stage = MegatronTokenizerWriter("memory://megatron", model_identifier=tokenizer(tmp_path))
    stage.setup()
    out = stage.process(batch("one two"))
    fs = MemoryFileSystem()
    tokens, index = (fs.cat(path) for path in out.data)
    assert read(index, tokens).documents == [[1, 2]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "needs model_identifier"),
        ({"model_identifier": "m", "tokenization_batch_size": 0}, "tokenization_batch_size"),
        ({"model_identifier": "m", "transformers_init_kwargs": {"token": "x"}}, "token cannot be among"),
    ],
    ids=str,
)
def test_wrong_options(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        MegatronTokenizerWriter(str(tmp_path), **options)
    pytest.importorskip("tokenizers")
    with pytest.raises(InputError, match="the tokenizer is not there"):
        MegatronTokenizerWriter(str(tmp_path), model_identifier=str(tmp_path / "tokenizer.json")).check_before_run()
