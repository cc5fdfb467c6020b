"""Fuzzy deduplication against what buckets of signatures say when they are counted out, and on real pages with planted duplicates."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from dedup_inputs import INLINE, LOCAL, column, contents, local, read_folder, write_lines

from nemo_curator.errors import DataError, OptionError
from nemo_curator.stages.deduplication.fuzzy import FuzzyDeduplicationWorkflow, detection_probability
from nemo_curator.stages.deduplication.fuzzy.buckets_to_edges import BucketsToEdgesStage
from nemo_curator.stages.deduplication.fuzzy.signatures import MinHasher
from nemo_curator.stages.deduplication.id_generator import CURATOR_DEDUP_ID_STR
from nemo_curator.testing import BackendUnderTest

ID = CURATOR_DEDUP_ID_STR
SMALL: dict[str, Any] = {"char_ngrams": 20, "num_bands": 6, "minhashes_per_band": 4, "bands_per_iteration": 4}
DATA = Path(__file__).parents[3] / "examples" / "data" / "multilingual_html"


def _texts(number: int = 60, seed: int = 3) -> list[str | None]:
    """Return texts of which a third are edited copies of others, and some that are short, empty or missing."""
    chance = random.Random(seed)
    words = [f"word{at}" for at in range(200)]
    texts = [" ".join(chance.choices(words, k=60)) for _ in range(number)]
    copies = [text.replace(chance.choice(text.split()), "other", 1) for text in chance.sample(texts, number // 2)]
    # Copies of copies: chains that no single bucket holds.
    copies += [copy + " and more words at the end" for copy in copies[:10]]
    mixed = [*texts, *copies, None, None, "", "", "short", "short", "shorter"]
    chance.shuffle(mixed)
    return mixed


def _oracle(texts: list[str | None]) -> dict[int, int]:
    """Return for every document in a group of two and more the smallest of it."""
    there = [at for at, text in enumerate(texts) if text is not None]
    hasher = MinHasher(SMALL["num_bands"] * SMALL["minhashes_per_band"], SMALL["char_ngrams"], 42)
    found = hasher.signatures(pa.array([texts[at] for at in there], pa.large_string())).tolist()
    root = {at: at for at in there}

    def top(at: int) -> int:
        while root[at] != at:
            at = root[at]
        return at

    rows = SMALL["minhashes_per_band"]
    for band in range(SMALL["num_bands"]):
        first: dict[tuple[int, ...], int] = {}
        for at, signature in zip(there, found, strict=True):
            other = first.setdefault(tuple(signature[band * rows : (band + 1) * rows]), at)
            low, high = sorted((top(at), top(other)))
            root[high] = low
    groups = defaultdict[int, list[int]](list)
    for at in there:
        groups[top(at)].append(at)
    return {at: group for group, members in groups.items() if len(members) > 1 for at in members}


def _run(tmp_path: Path, executor: dict[str, Any] = INLINE, checkpoint: str | None = None, **options: Any) -> Any:
    cache, output, folder = (str(tmp_path / name) for name in ("cache", "out", "in"))
    settings = {"input_path": folder, "input_filetype": "jsonl", "input_blocksize": None, **SMALL, **options}
    return FuzzyDeduplicationWorkflow(cache, output, **settings).run(
        executor=local(executor), checkpoint_path=checkpoint
    )


def _groups(tmp_path: Path) -> dict[int, int]:
    table = read_folder(tmp_path / "cache/ConnectedComponentsStage")
    return dict(zip(table[ID].to_pylist(), table["_duplicate_group_id"].to_pylist(), strict=True))


@pytest.mark.parametrize("executor", LOCAL)
def test_the_same_is_found_wherever_it_runs(executor: dict[str, Any], tmp_path: Path) -> None:
    texts = _texts()
    write_lines(tmp_path / "in", [{"n": at, "text": text} for at, text in enumerate(texts)], 4)
    result = _run(tmp_path, executor, perform_removal=True, lsh_num_output_partitions=3)
    groups = _oracle(texts)
    removed = sorted(at for at, group in groups.items() if at != group)
    assert len(removed) > 30
    assert _groups(tmp_path) == groups
    assert column(tmp_path / "out/FuzzyDuplicateIds", ID) == removed
    assert result.get_metadata("num_duplicates") == len(removed)
    lines = [line for path in (tmp_path / "out/deduplicated").glob("*.jsonl") for line in path.read_text().splitlines()]
    assert sorted(json.loads(line)["n"] for line in lines) == sorted(set(range(len(texts))) - set(removed))
    assert set(result.pipeline_tasks) == {"input_filegroups", "minhash", "lsh", "connected_components", "removal"}


def test_a_backend_on_ray_finds_the_same(ray_backend: BackendUnderTest, tmp_path: Path) -> None:
    texts = _texts()
    write_lines(tmp_path / "in", [{"text": text} for text in texts], 2)
    folders = [str(tmp_path / name) for name in ("cache", "out", "in")]
    FuzzyDeduplicationWorkflow(*folders, "jsonl", **SMALL).run(executor=ray_backend.make())
    assert _groups(tmp_path) == _oracle(texts)


def test_layouts_are_those_that_are_documented(tmp_path: Path) -> None:
    texts = _texts()
    write_lines(tmp_path / "in", [{"text": text} for text in texts], 2)
    _run(tmp_path)
    cache = tmp_path / "cache"
    assert sorted(path.name for path in (cache / "LSHStage").iterdir()) == ["band_0-band_4", "band_4-band_6"]
    signatures = read_folder(cache / "MinHashStage")
    assert signatures.schema.names == [ID, "_minhash_signature"]
    assert signatures.schema.types == [pa.int64(), pa.list_(pa.uint32())]
    assert {len(row) for row in signatures["_minhash_signature"].to_pylist()} == {24}
    assert len(signatures) == sum(text is not None for text in texts)
    buckets = read_folder(cache / "LSHStage" / "band_4-band_6")
    assert buckets.schema.names == ["_bucket_id", ID]
    assert all(re.fullmatch("b[45]_[0-9a-f]{32}", bucket) for bucket in buckets["_bucket_id"].to_pylist())
    assert all(len(ids) > 1 and ids == sorted(ids) for ids in buckets[ID].to_pylist())
    assert read_folder(cache / "BucketsToEdgesStage").schema.names == [f"{ID}_x", f"{ID}_y"]
    assert not list((cache / ".nemo_curator_metadata").rglob("*.parquet"))


def test_with_64_bits_about_the_same_is_found_and_signatures_are_wider(tmp_path: Path) -> None:
    texts = _texts()
    write_lines(tmp_path / "in", [{"text": text} for text in texts], 2)
    _run(tmp_path, use_64_bit_hash=True)
    signatures = read_folder(tmp_path / "cache/MinHashStage")
    assert signatures.schema.types == [pa.int64(), pa.list_(pa.uint64())]
    assert max(max(row) for row in signatures["_minhash_signature"].to_pylist()) > 2**40
    narrow, wide = _oracle(texts), _groups(tmp_path)
    assert len(narrow.keys() ^ wide.keys()) < 0.2 * len(narrow)
    assert len(wide) > 30


def test_two_threads_write_the_bytes_that_one_does(tmp_path: Path) -> None:
    for name, executor in (("inline", INLINE), ("threads", {"mode": "threads", "num_workers": 2})):
        write_lines(tmp_path / name / "in", [{"text": text} for text in _texts()], 4)
        _run(tmp_path / name, executor, lsh_num_output_partitions=3)
    assert contents(tmp_path / "threads/out") == contents(tmp_path / "inline/out")
    assert contents(tmp_path / "threads/cache/LSHStage") == contents(tmp_path / "inline/cache/LSHStage")


def test_what_is_found_does_not_depend_on_files_parts_and_blocks(tmp_path: Path) -> None:
    rows = [{"text": text} for text in _texts()]
    choices: list[tuple[str, int, dict[str, Any]]] = [
        ("a", 1, {"input_blocksize": 9000}),
        ("b", 5, {"lsh_num_output_partitions": 7, "bands_per_iteration": 1}),
        ("c", 3, {"bands_per_iteration": 6}),
    ]
    for name, files, options in choices:
        write_lines(tmp_path / name / "in", rows, files)
        _run(tmp_path / name, **options)
    assert _groups(tmp_path / "a") == _groups(tmp_path / "b") == _groups(tmp_path / "c")


def _pages(number: int) -> list[str]:
    """Return the plain text of pages of different names: translations of a page share much."""
    pages: dict[str, str] = {}
    for path in sorted(DATA.glob("*.jsonl.gz")):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            row = json.loads(line)
            text = " ".join(re.sub("<[^>]*>", " ", row["html"]).split())
            if 2000 <= len(text) <= 5000:
                pages.setdefault(row["url"].rsplit("/", 1)[-1], text)
        if len(pages) >= number:
            break
    return list(pages.values())[:number]


def _edited(text: str, share: float, chance: random.Random) -> str:
    words = text.split()
    for at in chance.sample(range(len(words)), max(1, round(len(words) * share))):
        words[at] = f"edit{chance.randrange(10**6)}"
    return " ".join(words)


def _jaccard(first: str, second: str, size: int) -> float:
    one, other = ({text[at : at + size] for at in range(len(text) - size + 1)} for text in (first, second))
    return len(one & other) / len(one | other)


def test_recall_on_real_pages_is_what_the_banding_promises(tmp_path: Path) -> None:
    pages, chance = _pages(40), random.Random(4)
    assert len(pages) == 40
    bands, rows, size = 20, 3, 20
    shares = (0.01, 0.05, 0.1, 0.2)
    documents, pairs = list(pages), []
    for at, page in enumerate(pages):
        for share in shares:
            documents.append(_edited(page, share, chance))
            pairs.append((share, at, len(documents) - 1, _jaccard(page, documents[-1], size)))
    write_lines(tmp_path / "in", [{"text": text} for text in documents], 3)
    _run(tmp_path, char_ngrams=size, num_bands=bands, minhashes_per_band=rows, bands_per_iteration=10)
    buckets = [read_folder(folder)[ID].to_pylist() for folder in sorted((tmp_path / "cache/LSHStage").iterdir())]
    met = {(one, other) for file in buckets for ids in file for one in ids for other in ids}
    for share in shares:
        mine = [pair for pair in pairs if pair[0] == share]
        promised = [detection_probability(jaccard, bands, rows) for *_, jaccard in mine]
        found = sum((first, second) in met for _, first, second, _ in mine)
        spread = sum(chance * (1 - chance) for chance in promised) ** 0.5
        assert abs(found - sum(promised)) <= 4 * spread + 0.5, (share, found, sum(promised))
    # One word in a hundred changed: all are found, and of what is removed nothing is an original.
    removed = set(column(tmp_path / "out/FuzzyDuplicateIds", ID))
    assert {second for share, _, second, _ in pairs if share == 0.01} <= removed
    # Precision: pages of different names that share a bucket do have text in common.
    strangers = [(one, other) for one, other in met if one < other < len(pages)]
    assert all(_jaccard(pages[one], pages[other], size) > 0.05 for one, other in strangers)


@pytest.mark.slow
def test_recall_over_many_bandings_is_within_one_percent_of_theory() -> None:
    """Of 40 pages with edits of 1, 5, 10 and 20 % of their words, under 100 bandings that are drawn each by itself."""
    pages, chance = [page[:1500] for page in _pages(40)], random.Random(7)
    bands, rows, size, draws = 8, 3, 20, 100
    shares = (0.01, 0.05, 0.1, 0.2)
    documents = [*pages, *(_edited(page, share, chance) for share in shares for page in pages)]
    found = MinHasher(bands * rows * draws, size, 11).signatures(pa.array(documents, pa.large_string()))
    cut = found.reshape(len(documents), draws, bands, rows)
    recalls, promises = [], []
    for number, _ in enumerate(shares, 1):
        copies = cut[number * len(pages) : (number + 1) * len(pages)]
        met = (copies == cut[: len(pages)]).all(axis=3).any(axis=2)
        similar = [_jaccard(page, documents[number * len(pages) + at], size) for at, page in enumerate(pages)]
        recalls.append(float(met.mean()))
        promises.append(sum(detection_probability(one, bands, rows) for one in similar) / len(pages))
    assert recalls == pytest.approx(promises, abs=0.01)
    # Some of these are hard to find: it is not that all are found whatever they are.
    assert promises[-1] < 0.7 < 0.95 < promises[0]


@pytest.mark.parametrize("same", [False, True])
def test_no_duplicates_and_nothing_else(same: bool, tmp_path: Path) -> None:
    chance = random.Random(2)
    texts = ["".join(chance.choices("abcdefgh", k=100)) for _ in range(30)]
    write_lines(tmp_path / "in", [{"text": texts[0] if same else text} for text in texts], 3)
    result = _run(tmp_path, perform_removal=True)
    assert result.get_metadata("num_duplicates") == (29 if same else 0)
    assert column(tmp_path / "out/FuzzyDuplicateIds", ID) == (list(range(1, 30)) if same else [])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": "a"}, {"text": 5}], "is of type int64, but text is wanted. Name the column with text_field"),
        ([{"words": "a"}, {"words": "b"}], "has no column 'text'; it has: words"),
        ([{"text": "a"}, {"words": "b"}], "has no column 'text'; it has: words"),
    ],
    ids=["numbers in one file", "no text", "no text in one file"],
)
def test_bad_documents(rows: list[Any], message: str, tmp_path: Path) -> None:
    write_lines(tmp_path / "in", rows, 2)
    with pytest.raises(DataError, match=message):
        _run(tmp_path)


def test_other_columns_may_differ_from_file_to_file(tmp_path: Path) -> None:
    text = "one and the same text in all of the files, of which each has another column beside it"
    write_lines(tmp_path / "in", [{"text": text, "a": 1}, {"text": text, "a": "x"}, {"b": [1], "text": text}], 3)
    _run(tmp_path, perform_removal=True)
    assert _groups(tmp_path) == {0: 0, 1: 0, 2: 0}
    (kept,) = [path.read_text() for path in (tmp_path / "out/deduplicated").glob("*.jsonl") if path.stat().st_size]
    assert json.loads(kept) == {"text": text, "a": 1}


def test_texts_shorter_than_an_ngram_are_duplicates_of_equal_ones_only(tmp_path: Path) -> None:
    texts = ["tiny", "tiny", "tinY", "", "", None, None, "tiny word"]
    write_lines(tmp_path / "in", [{"text": text} for text in texts], 2)
    _run(tmp_path, char_ngrams=1000)
    assert _groups(tmp_path) == {0: 0, 1: 0, 3: 3, 4: 3}
    _run(tmp_path, char_ngrams=1000, normalize_text=True)
    assert _groups(tmp_path) == {0: 0, 1: 0, 2: 0, 3: 3, 4: 3}


def test_a_run_that_was_broken_off_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    rows = [{"text": text} for text in _texts()]
    for name in ("whole", "broken"):
        write_lines(tmp_path / name / "in", rows, 4)
    _run(tmp_path / "whole")
    bad = tmp_path / "broken/in/002.jsonl"
    good = bad.read_text()
    bad.write_text('{"text": 1}\n' * good.count("\n"))
    checkpoint = str(tmp_path / "checkpoint")
    with pytest.raises(DataError, match="is of type int64, but text is wanted"):
        _run(tmp_path / "broken", checkpoint=checkpoint)
    bad.write_text(good)
    results = [_run(tmp_path / "broken", checkpoint=checkpoint) for _ in range(2)]
    assert [result.get_metadata("num_duplicates") for result in results] == [len(_removed(rows))] * 2
    assert [len(results[1].pipeline_tasks[name]) for name in ("minhash", "lsh", "connected_components")] == [0, 0, 0]
    assert contents(tmp_path / "broken/out") == contents(tmp_path / "whole/out")


def _removed(rows: list[dict[str, Any]]) -> list[int]:
    return [at for at, group in _oracle([row["text"] for row in rows]).items() if at != group]


def test_edges_follow_one_another_in_a_bucket_and_only_there(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    from nemo_curator.tasks import FileGroupTask

    lists = pa.array([[1, 2, 5], [7, 9], [1, 2], [3, 4, 8]], pa.list_(pa.int64()))
    pq.write_table(pa.table({"_bucket_id": ["a", "b", "c", "d"], "doc": lists}), tmp_path / "buckets.parquet")
    stage = BucketsToEdgesStage(str(tmp_path / "edges"), "doc")
    (path,) = stage.process(FileGroupTask("d", [str(tmp_path / "buckets.parquet")])).data
    table = pq.read_table(path)
    pairs = list(zip(table["doc_x"].to_pylist(), table["doc_y"].to_pylist(), strict=True))
    assert pairs == [(1, 2), (2, 5), (3, 4), (4, 8), (7, 9)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bands_per_iteration": 0}, "bands_per_iteration must be from 1 to num_bands, 20; got 0"),
        ({"bands_per_iteration": 21}, "got 21"),
        ({"num_bands": 0}, "must be at least 1, got 0 and 13"),
        ({"char_ngrams": 0}, "char_ngrams and num_hashes must be at least 1"),
        ({"seed": -1}, "seed must be from 0"),
        ({"lsh_num_output_partitions": 0}, "lsh_num_output_partitions must be at least 1"),
        ({"input_filetype": "csv"}, "input_filetype must be one of"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        FuzzyDeduplicationWorkflow("cache", "out", "in", **options)


def test_what_to_expect_is_logged(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    write_lines(tmp_path / "in", [{"text": "a"}], 1)
    with caplog.at_level("INFO"):
        _run(tmp_path, char_ngrams=5)
    assert "6 bands of 4 find, of pairs with a Jaccard similarity of 0.5: 32.1%" in caplog.text
    assert "with fewer than 20 expect false positives" in caplog.text
