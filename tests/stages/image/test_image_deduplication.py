"""Near-duplicates are found, and removed by their ids."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_media import batch_of, encoded, gradient, make_tar, photo
from PIL import ImageEnhance

from nemo_curator.errors import DataError, InputError, OptionError
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.image.deduplication import (
    FindPerceptualDuplicates,
    ImageDuplicatesRemovalStage,
    PerceptualDuplicateIdentification,
    PerceptualHashStage,
)
from nemo_curator.stages.image.deduplication.hamming import MOST_DISTANCE, near_pairs, roots_of_pairs
from nemo_curator.stages.image.io import ImageReaderStage
from nemo_curator.stages.text.io.writer import ParquetWriter
from nemo_curator.tasks import DocumentBatch
from nemo_curator.testing import BackendUnderTest

pytest.importorskip("imagehash")


@st.composite
def hashes_with_neighbours(draw: st.DrawFn) -> list[int]:
    base = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=12))
    flips = st.lists(st.integers(0, 63), max_size=18)
    near = [
        draw(st.sampled_from(base)) ^ sum(1 << bit for bit in set(draw(flips))) for _ in range(draw(st.integers(0, 12)))
    ]
    return base + near


@given(hashes_with_neighbours(), st.integers(0, MOST_DISTANCE))
def test_near_pairs_are_those_of_a_plain_loop(numbers: list[int], distance: int) -> None:
    expected = [
        (one, other)
        for one, other in combinations(range(len(numbers)), 2)
        if (numbers[one] ^ numbers[other]).bit_count() <= distance
    ]
    first, second = near_pairs(np.array(numbers, dtype=np.uint64), distance)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == expected


def test_many_equal_hashes_are_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    # Fewer pairs at a time than there are, so that they come in several cuts.
    monkeypatch.setattr("nemo_curator.stages.image.deduplication.hamming._PAIRS_AT_ONCE", 100)
    first, _ = near_pairs(np.full(60, 7, dtype=np.uint64), 3)
    assert len(first) == 60 * 59 // 2
    assert len(near_pairs(np.zeros(0, np.uint64), 3)[0]) == 0


def test_roots() -> None:
    first, second = np.array([1, 2, 4]), np.array([2, 5, 6])
    assert roots_of_pairs(first, second, 7).tolist() == [0, 1, 1, 3, 4, 1, 4]


def hashed(*rows: tuple[str, int, int]) -> DocumentBatch:
    columns = {
        "image_id": [row[0] for row in rows],
        "phash": [f"{row[1]:016x}" for row in rows],
        "pixels": [row[2] for row in rows],
    }
    return DocumentBatch("d", pa.table(columns))


def test_the_largest_of_a_group_is_kept_whatever_comes_first() -> None:
    stage = PerceptualDuplicateIdentification(max_distance=2)
    batches = [
        hashed(("small", 0b0, 10), ("chained", 0b1111, 10)),
        hashed(("large", 0b11, 900), ("far", 0xFF00, 5)),
        hashed(("b-twin", 0xF0F0F0, 7), ("a-twin", 0xF0F0F0, 7)),
    ]
    (forward,) = stage.process_batch(batches)
    (backward,) = stage.process_batch(batches[::-1])
    assert forward.to_pyarrow().to_pylist() == [
        {"id": "b-twin", "duplicate_of": "a-twin", "distance": 0},
        {"id": "chained", "duplicate_of": "large", "distance": 2},
        {"id": "small", "duplicate_of": "large", "distance": 2},
    ]
    assert forward.to_pyarrow().equals(backward.to_pyarrow())


def test_of_several_about_as_large_the_best_is_kept() -> None:
    rows = hashed(("a", 1, 100), ("b", 1, 85), ("c", 1, 100), ("thumbnail", 1, 20)).to_pyarrow()
    judged = DocumentBatch("d", rows.append_column("quality_distance", pa.array([12.0, 5.0, None, 1.0])))
    (batch,) = PerceptualDuplicateIdentification().process_batch([judged])
    kept = {row["id"]: row["duplicate_of"] for row in batch.to_pyarrow().to_pylist()}
    assert kept == {"a": "b", "c": "b", "thumbnail": "b"}


def test_nothing_to_remove_is_a_batch_without_rows() -> None:
    (batch,) = PerceptualDuplicateIdentification().process_batch([hashed(("a", 1, 1))])
    assert batch.get_columns() == ["id", "duplicate_of", "distance"]
    assert batch.num_items == 0
    (batch,) = PerceptualDuplicateIdentification().process_batch([hashed()])
    assert batch.num_items == 0


def test_what_cannot_be_told_apart_is_refused() -> None:
    stage = PerceptualDuplicateIdentification()
    with pytest.raises(DataError, match="several images have the id 'a'"):
        stage.process_batch([hashed(("a", 1, 1)), hashed(("a", 2, 1))])
    rows = hashed(("a", 1, 1)).to_pyarrow().set_column(1, "phash", pa.array(["not hex"]))
    with pytest.raises(DataError, match="not a hash"):
        stage.process_batch([DocumentBatch("d", rows)])
    for distance in (-1, 16):
        with pytest.raises(OptionError, match="max_distance"):
            PerceptualDuplicateIdentification(distance)
    with pytest.raises(NotImplementedError):
        stage.process(hashed(("a", 1, 1)))


def test_changed_copies_have_near_hashes() -> None:
    cat = photo("chelsea.png")
    task = batch_of(cat, cat.resize((150, 100)), ImageEnhance.Brightness(cat).enhance(1.2), photo("coffee.png"))
    PerceptualHashStage(remove_image_data=True).process(task)
    hashes = [int(image.metadata["phash"], 16) for image in task.data]
    distances = [(hashes[0] ^ each).bit_count() for each in hashes]
    assert max(distances[:3]) <= 8 < distances[3]
    assert task.data[1].metadata["pixels"] == 15_000
    assert task.data[0].image_data is None


# Removal


def test_images_that_are_named_are_left_out(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["image_1", None, "other"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"id": pa.array([], pa.string())}), tmp_path / "b.parquet")
    stage = ImageDuplicatesRemovalStage(str(tmp_path))
    kept = stage.process(batch_of(gradient(), gradient(), gradient()))
    assert [image.image_id for image in kept.data] == ["image_0", "image_2"]
    assert kept._metadata["num_removed"] == 1
    assert stage._consume_drops() == {"duplicate": 1}
    assert ImageDuplicatesRemovalStage("x", num_workers_per_node=2).num_workers_per_node() == 2


def test_ids_to_remove_must_be_there_and_be_text(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(FileNotFoundError, match="no Parquet file"):
            ImageDuplicatesRemovalStage(str(folder)).setup()
    with pytest.raises(InputError):
        ImageDuplicatesRemovalStage(str(tmp_path)).check_before_run()
    pq.write_table(pa.table({"id": [1], "name": ["image_0"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="type int64"):
        ImageDuplicatesRemovalStage(str(tmp_path)).setup()
    with pytest.raises(DataError, match=r"no column 'key'.*id, name"):
        ImageDuplicatesRemovalStage(str(tmp_path), duplicate_id_field="key").setup()
    stage = ImageDuplicatesRemovalStage(str(tmp_path), duplicate_id_field="name")
    assert stage.process(batch_of(gradient())).num_items == 0


# In a pipeline


def test_near_duplicates_are_found_and_removed(tmp_path: Path, local_backend: BackendUnderTest) -> None:
    (tmp_path / "in").mkdir()
    originals = [photo(name) for name in ("chelsea.png", "coffee.png", "rocket.jpg")]
    copies = [image.resize((image.width // 2, image.height // 2)) for image in originals]
    make_tar(tmp_path / "in" / "a.tar", {f"{n}.jpg": encoded(image, quality=95) for n, image in enumerate(originals)})
    make_tar(tmp_path / "in" / "b.tar", {f"{n}.jpg": encoded(image, quality=40) for n, image in enumerate(copies)})
    source = [
        FilePartitioningStage(str(tmp_path / "in"), files_per_partition=1, file_extensions=[".tar"]),
        ImageReaderStage(dali_batch_size=2, verbose=False),
    ]
    local_backend.run(*source, FindPerceptualDuplicates(), ParquetWriter(str(tmp_path / "ids")))
    result = local_backend.run(*source, ImageDuplicatesRemovalStage(str(tmp_path / "ids")))
    assert sorted(image.image_id for batch in result.outputs for image in batch.data) == [
        f"a_{n:06d}" for n in range(3)
    ]
    assert result.report.stage("image_dedup_filter").items_dropped == {"duplicate": 3}
