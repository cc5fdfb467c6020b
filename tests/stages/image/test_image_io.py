"""Images from archives and folders, and back to archives."""

from __future__ import annotations

import gzip
import json
import logging
import os
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_media import batch_of, encoded, gradient, make_tar, photo
from PIL import Image

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.engine.report import RunReport
from nemo_curator.errors import DataError, InputError, OptionError, OutputError
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.image.io import (
    ConvertImageBatchToDocumentBatchStage,
    ImageFolderReader,
    ImageFolderReaderStage,
    ImageReaderStage,
    ImageWriterStage,
)
from nemo_curator.stages.image.io.base_reader import Sample
from nemo_curator.stages.image.io.decode import decode
from nemo_curator.stages.resources import Resources
from nemo_curator.stages.text.io.writer import ParquetWriter
from nemo_curator.tasks import FileGroupTask, ImageBatch, ImageObject
from nemo_curator.testing import BackendUnderTest
from nemo_curator.utils.archives import ArchiveLimits
from nemo_curator.utils.output_manifest import check_output

JPEG = encoded(gradient())


def jpegs(count: int, start: int = 0) -> dict[str, bytes]:
    return {f"{number:03d}.jpg": encoded(gradient(seed=number)) for number in range(start, start + count)}


def read(stage: ImageReaderStage | ImageFolderReaderStage, task: FileGroupTask) -> list[ImageBatch]:
    try:
        return list(stage.process(task))
    finally:
        stage.teardown()


# Reading archives


def test_ids_paths_and_sizes_of_batches(tmp_path: Path) -> None:
    task = make_tar(tmp_path / "shard-7.tar", jpegs(5))
    batches = read(ImageReaderStage(dali_batch_size=2, verbose=False), task)
    assert [batch.num_items for batch in batches] == [2, 2, 1]
    assert {batch.dataset_name for batch in batches} == {"tar_files"}
    images = [image for batch in batches for image in batch.data]
    assert [image.image_id for image in images] == [f"shard-7_{number:06d}" for number in range(5)]
    assert images[3].image_path == str(tmp_path / "shard-7_000003.jpg")
    assert images[3].metadata == {"tar_file": task.data[0], "member": "003.jpg"}
    assert images[3].image_data is not None
    assert images[3].image_data.shape == (48, 64, 3)


def test_several_archives_are_one_group(tmp_path: Path) -> None:
    tasks = [make_tar(tmp_path / f"{name}.tar", jpegs(2)) for name in ("a", "b", "c")]
    together = FileGroupTask(dataset_name="d", data=[task.data[0] for task in tasks])
    (batch,) = read(ImageReaderStage(), together)
    assert [image.image_id for image in batch.data] == [f"group_a_x3_{number:06d}" for number in range(6)]


def test_texts_of_a_sample_go_into_its_metadata(tmp_path: Path) -> None:
    members = {
        "one.txt": b"ein Text",
        "one.jpg": JPEG,
        "one.json": b'{"width": 3}',
        "two.jpg": JPEG,
        "two.json": b"{broken",
        "folder/one.jpg": JPEG,
    }
    (batch,) = read(ImageReaderStage(), make_tar(tmp_path / "t.tar", members))
    texts = [{key: image.metadata.get(key) for key in ("txt", "json")} for image in batch.data]
    assert texts == [
        {"txt": "ein Text", "json": {"width": 3}},
        {"txt": None, "json": "{broken"},
        {"txt": None, "json": None},
    ]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_archives_may_be_compressed(tmp_path: Path, mode: str) -> None:
    (batch,) = read(ImageReaderStage(), make_tar(tmp_path / "t.tar.x", jpegs(3), mode))
    assert [image.image_id for image in batch.data] == ["t_000000", "t_000001", "t_000002"]


def test_other_kinds_of_images_are_counted_or_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    members = {"a.jpg": JPEG, "b.png": encoded(gradient(), "PNG"), "c.PNG": encoded(gradient(), "PNG"), "._a.jpg": b"x"}
    task = make_tar(tmp_path / "t.tar", members)
    stage = ImageReaderStage()
    (batch,) = read(stage, task)
    assert batch.num_items == 1
    assert stage._consume_drops() == {"other_format": 2}
    assert "2 .png" in caplog.text
    (batch,) = read(ImageReaderStage(extensions=["jpg", ".png"]), task)
    assert [image.metadata["member"] for image in batch.data] == ["a.jpg", "b.png", "c.PNG"]


def test_images_can_be_scaled_as_they_are_decoded(tmp_path: Path) -> None:
    task = make_tar(tmp_path / "t.tar", {"a.jpg": encoded(gradient(640, 480))})
    (batch,) = read(ImageReaderStage(shorter_side=100), task)
    assert batch.data[0].image_data is not None
    assert batch.data[0].image_data.shape == (100, 133, 3)


def test_a_batch_ends_when_its_pixels_take_much(tmp_path: Path) -> None:
    task = make_tar(tmp_path / "t.tar", jpegs(5))
    batches = read(ImageReaderStage(max_batch_bytes=2 * 48 * 64 * 3), task)
    assert [batch.num_items for batch in batches] == [2, 2, 1]


@pytest.mark.parametrize("isolate", [False, True], ids=["threads", "processes"])
def test_threads_change_nothing(tmp_path: Path, isolate: bool) -> None:
    task = make_tar(tmp_path / "t.tar", {**jpegs(4), "bad.jpg": b"bad", **jpegs(3, start=5)})
    one = read(ImageReaderStage(dali_batch_size=3), task)
    stage = ImageReaderStage(dali_batch_size=3, num_threads=3, isolate_decoder=isolate)
    many = read(stage.with_(resources=Resources(cpus=4)), task)
    assert [[image.image_id for image in batch.data] for batch in many] == [
        [i.image_id for i in batch.data] for batch in one
    ]
    for a, b in zip(one, many, strict=True):
        assert all(np.array_equal(x.image_data, y.image_data) for x, y in zip(a.data, b.data, strict=True))  # pyright: ignore[reportArgumentType]


# What is hostile or broken

BOMB = encoded(Image.new("1", (13000, 13000)), "PNG")
HOSTILE = {
    "000.jpg": JPEG,
    "001-half.jpg": encoded(gradient(256, 256))[:1500],
    "002-page.jpg": b"<html>404</html>",
    "003-empty.jpg": b"",
    "004-is-a-png.jpg": encoded(gradient(), "PNG"),
    "005-bomb.jpg": BOMB,
    "006-huge.jpg": bytes(300_000),
    "../../007-outside.jpg": JPEG,
    "/etc/008-absolute.jpg": JPEG,
    "009-script.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "010.jpg": JPEG,
}
BAD = {"truncated": 1, "not_an_image": 2, "empty": 1, "too_many_pixels": 1, "file_too_large": 1}


def test_bad_images_cost_nothing_but_themselves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    task = make_tar(tmp_path / "t.tar", HOSTILE)
    stage = ImageReaderStage(max_file_bytes=200_000)
    (batch,) = read(stage, task)
    assert [int(image.image_id[-6:]) for image in batch.data] == [0, 4, 7, 8, 10]
    assert stage._consume_drops() == BAD
    assert "001-half.jpg" in caplog.text
    assert "only counted" in caplog.text
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["t.tar"]
    assert not (tmp_path.parent.parent / "007-outside.jpg").exists()


def test_a_bad_image_can_fail_its_task(tmp_path: Path) -> None:
    task = make_tar(tmp_path / "t.tar", HOSTILE)
    with pytest.raises(DataError, match=r"001-half\.jpg .*truncated.*on_bad_image"):
        read(ImageReaderStage(on_bad_image="fail"), task)


def test_links_devices_and_sparse_files_are_passed_over(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "t.tar", "w") as archive:
        for name, kind in (("a.jpg", tarfile.SYMTYPE), ("b.jpg", tarfile.LNKTYPE), ("c.jpg", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    assert read(ImageReaderStage(), FileGroupTask(dataset_name="d", data=[str(tmp_path / "t.tar")])) == []


def test_what_comes_before_the_end_of_a_broken_archive_is_kept(tmp_path: Path) -> None:
    task = make_tar(tmp_path / "t.tar", jpegs(4))
    path = Path(task.data[0])
    path.write_bytes(path.read_bytes()[: 3 * 512 + 3 * len(JPEG) // 2])
    stage = ImageReaderStage(dali_batch_size=50)
    stream = stage.process(task)
    first = next(stream)
    assert first.num_items == 1
    with pytest.raises(DataError, match=r"t\.tar"):
        next(stream)


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        pytest.param(b"no archive" * 200, DataError, "not a tar archive", id="no-archive"),
        pytest.param(None, InputError, "cannot read", id="missing"),
    ],
)
def test_archives_that_cannot_be_read(tmp_path: Path, content: bytes | None, error: type[Exception], said: str) -> None:
    path = tmp_path / "x.tar"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=said):
        read(ImageReaderStage(), FileGroupTask(dataset_name="d", data=[str(path)]))


def test_a_compressed_archive_that_unpacks_to_too_much_is_given_up(tmp_path: Path) -> None:
    task = make_tar(tmp_path / "t.tar.gz", {"a.jpg": JPEG, "zeros.bin": bytes(3_000_000), "b.jpg": JPEG}, "w:gz")
    stage = ImageReaderStage(limits=ArchiveLimits(max_total_bytes=1_000_000))
    stream = stage.process(task)
    assert next(stream).num_items == 1
    with pytest.raises(DataError, match="more than"):
        next(stream)


def archive_bytes() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return Path(make_tar(Path(folder) / "t.tar", jpegs(3)).data[0]).read_bytes()


PLAIN = archive_bytes()
ARCHIVES = {False: PLAIN, True: gzip.compress(PLAIN, mtime=0)}


@given(st.integers(0, 4_000), st.binary(max_size=40), st.booleans())
def test_damage_in_an_archive_is_said_and_nothing_else_happens(at: int, noise: bytes, compressed: bool) -> None:
    whole = ARCHIVES[compressed]
    damaged = whole[:at] + noise + whole[at + len(noise) :] if noise else whole[:at]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.tar"
        path.write_bytes(damaged)
        with suppress(DataError):
            read(ImageReaderStage(verbose=False), FileGroupTask(dataset_name="d", data=[str(path)]))


def test_a_task_without_files_is_refused() -> None:
    with pytest.raises(ValueError, match="names no files"):
        ImageReaderStage().process(FileGroupTask(dataset_name="d", data=[]))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dali_batch_size": 0}, "batch"),
        ({"num_threads": 0}, "num_threads"),
        ({"extensions": ".jpg"}, "extensions"),
        ({"on_bad_image": "ignore"}, "on_bad_image"),
        ({"shorter_side": 0}, "shorter_side"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_options_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        ImageReaderStage(**options)  # pyright: ignore[reportArgumentType]


# Folders


def test_a_folder_is_read_with_its_subfolders(tmp_path: Path, backend_inline: BackendUnderTest) -> None:
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats" / "1.jpg").write_bytes(JPEG)
    (tmp_path / "2.PNG").write_bytes(encoded(gradient(), "PNG"))
    (tmp_path / "3.jpg").write_bytes(b"junk")
    (tmp_path / "notes.txt").write_text("not an image")
    result = backend_inline.run(ImageFolderReader(str(tmp_path)))
    (batch,) = result.outputs
    assert sorted(image.image_id for image in batch.data) == ["2.PNG", "cats/1.jpg"]
    assert result.report.stage("image_folder_reader").items_dropped == {"not_an_image": 1}


def test_files_that_are_gone_or_too_large_are_bad_images(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(JPEG)
    (tmp_path / "b.jpg").write_bytes(bytes(50_000))
    task = FileGroupTask(dataset_name="d", data=[str(tmp_path / name) for name in ("a.jpg", "b.jpg", "gone.jpg")])
    stage = ImageFolderReaderStage(max_file_bytes=40_000)
    (batch,) = read(stage, task)
    assert [image.image_id for image in batch.data] == [str(tmp_path / "a.jpg")]
    assert stage._consume_drops() == {"file_too_large": 1, "unreadable": 1}


# Writing


def test_written_images_are_read_again(tmp_path: Path) -> None:
    task = batch_of(photo("chelsea.png"), photo("coffee.png"), gradient())
    task.data[1].metadata["caption"] = "a cup"
    stage = ImageWriterStage(str(tmp_path / "out"), images_per_tar=2, extra_fields=["caption", "nsfw_score"])
    written = write(stage, task)
    names = [Path(path).name for path in written.data]
    base = names[0].removesuffix("-000000.tar")
    assert names == [f"{base}-000000.tar", f"{base}-000001.tar", f"{base}-000000.parquet", f"{base}-000001.parquet"]
    assert written._metadata["num_images"] == 3
    rows = pq.read_table(written.data[2]).to_pylist()
    assert rows[1] == {
        "image_id": "image_1",
        "tar_file": written.data[0],
        "member_name": "image_1.jpg",
        "original_path": "/photos/1.png",
        "metadata": "{'caption': 'a cup'}",
        "caption": "a cup",
        "nsfw_score": None,
    }
    again = read(ImageReaderStage(), FileGroupTask(dataset_name="d", data=written.data[:2]))
    for before, after in zip(task.data, again[0].data, strict=True):
        assert before.image_data is not None
        assert after.image_data is not None
        assert np.abs(before.image_data.astype(int) - after.image_data.astype(int)).mean() < 4


def write(stage: ImageWriterStage, task: ImageBatch) -> FileGroupTask:
    written = stage.process(task)
    assert isinstance(written, FileGroupTask)
    return written


def test_a_batch_without_images_writes_nothing(tmp_path: Path) -> None:
    assert ImageWriterStage(str(tmp_path / "out")).process(batch_of()) is None
    assert list(tmp_path.iterdir()) == []


def test_the_same_batch_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (
        write(ImageWriterStage(str(tmp_path / name)), batch_of(gradient(), gradient(seed=1))) for name in "ab"
    )
    assert [Path(path).name for path in first.data] == [Path(path).name for path in second.data]
    assert Path(first.data[0]).read_bytes() == Path(second.data[0]).read_bytes()
    by_chance = [
        write(ImageWriterStage(str(tmp_path / "c"), deterministic_name=False), batch_of(gradient())) for _ in "ab"
    ]
    assert by_chance[0].data != by_chance[1].data


@pytest.mark.parametrize(
    ("pixels", "mode"),
    [
        (np.full((4, 5), 300.0), "L"),
        (np.full((4, 5, 1), 9, np.uint8), "L"),
        (np.full((4, 5, 3), -1.0), "RGB"),
        (np.full((4, 5, 4), 200, np.uint8), "RGB"),
        (np.full((4, 5, 7), 9, np.uint8), "RGB"),
        (np.full((4, 5, 3), np.nan), "RGB"),
    ],
    ids=["grey-float", "one-channel", "negative", "alpha", "seven-channels", "nan"],
)
def test_pixels_of_other_kinds(tmp_path: Path, pixels: np.ndarray, mode: str) -> None:
    task = ImageBatch("d", [ImageObject(image_id="x", image_data=pixels)])
    written = write(ImageWriterStage(str(tmp_path)), task)
    with tarfile.open(written.data[0]) as archive:
        handle = archive.extractfile("x.jpg")
        assert handle is not None
        image = Image.open(handle)
        assert (image.mode, image.size) == (mode, (5, 4))


def test_names_of_members_stay_in_the_archive_and_differ(tmp_path: Path) -> None:
    ids = ["../../etc/passwd", "/abs", "cats/1.jpg", "cats/1.png", "a.b.c", "", "..", "a\\..\\b", "\x00"]
    task = ImageBatch("d", [ImageObject(image_id=each, image_data=np.zeros((2, 2, 3), np.uint8)) for each in ids])
    written = write(ImageWriterStage(str(tmp_path)), task)
    with tarfile.open(written.data[0]) as archive:
        names = archive.getnames()
    assert names == [
        *("etc/passwd.jpg", "abs.jpg", "cats/1.jpg", "cats/1_000003.jpg", "a_b_c.jpg", "000005.jpg", "000006.jpg"),
        *("a/b.jpg", "_.jpg"),
    ]


def test_an_image_that_no_jpeg_can_hold_is_left_out(tmp_path: Path) -> None:
    task = batch_of(gradient(), gradient())
    task.data[1].image_data = np.zeros((1, 70_000, 3), np.uint8)
    stage = ImageWriterStage(str(tmp_path))
    assert write(stage, task)._metadata["num_images"] == 1
    assert stage._consume_drops() == {"not_for_jpeg": 1}


def test_pixels_must_be_there_and_can_be_freed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stage = ImageWriterStage(str(tmp_path), remove_image_data=True)
    task = batch_of(gradient())
    stage.process(task)
    assert task.data[0].image_data is None
    with pytest.raises(ValueError, match=r"image_0.*no pixels.*remove_image_data"):
        stage.process(task)
    assert caplog.text.count("images_per_tar is 1000") == 1


def test_nothing_is_touched_before_a_run(tmp_path: Path) -> None:
    stage = ImageWriterStage(str(tmp_path / "new"))
    stage.check_before_run()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="not a folder"):
        ImageWriterStage(str(tmp_path / "file" / "out")).check_before_run()
    with pytest.raises(OptionError):
        ImageWriterStage(str(tmp_path), images_per_tar=0)


# Rows


def test_images_become_rows() -> None:
    task = batch_of(gradient(), gradient())
    task.data[0].embedding = np.arange(3, dtype=np.float32)
    task.data[0].nsfw_score = 0.25
    task.data[1].metadata = {"caption": "ü", "when": Path("x")}
    fields = ["image_id", "embedding", "nsfw_score", "caption", "metadata"]
    table = ConvertImageBatchToDocumentBatchStage(fields).process(task).to_pyarrow()
    rows = table.to_pylist()
    assert rows[0] == {
        "image_id": "image_0",
        "embedding": [0, 1, 2],
        "nsfw_score": 0.25,
        "caption": None,
        "metadata": "{}",
    }
    assert rows[1]["embedding"] is None
    assert json.loads(rows[1]["metadata"]) == {"caption": "ü", "when": "x"}
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), 3)
    assert ConvertImageBatchToDocumentBatchStage().process(task).get_columns() == ["image_id"]


@pytest.mark.parametrize("fields", [["image_data"], ["image_id", "image_id"]])
def test_fields_that_cannot_be_are_refused(fields: list[str]) -> None:
    with pytest.raises(OptionError):
        ConvertImageBatchToDocumentBatchStage(fields)


def test_embeddings_of_different_lengths_are_refused() -> None:
    task = batch_of(gradient(), gradient())
    for image, length in zip(task.data, (3, 4), strict=True):
        image.embedding = np.zeros(length, np.float32)
    with pytest.raises(DataError, match="embedding"):
        ConvertImageBatchToDocumentBatchStage(["embedding"]).process(task)


# On every backend


def test_archives_through_a_pipeline(
    tmp_path: Path, backend: BackendUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        make_tar(folder / f"part-{number}.tar", {**jpegs(5), "bad.jpg": b"bad"})
    result = backend.run(
        FilePartitioningStage(str(folder), files_per_partition=1, file_extensions=[".tar"]),
        ImageReaderStage(dali_batch_size=2, verbose=False),
        ImageWriterStage(str(tmp_path / "out"), images_per_tar=2),
    )
    assert len(result.outputs) == 9
    assert result.report.stage("image_reader").items_dropped == {"not_an_image": 3}
    assert check_output(str(tmp_path / "out")) == []
    rows = [row for path in (tmp_path / "out").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    assert sorted(row["image_id"] for row in rows) == [f"part-{p}_{n:06d}" for p in range(3) for n in range(5)]
    for row in rows:
        with tarfile.open(row["tar_file"]) as archive:
            handle = archive.extractfile(row["member_name"])
            assert handle is not None
            assert decode(handle.read(), ImageReaderStage().decode_options).shape == (48, 64, 3)


def test_rows_of_images_through_a_pipeline(tmp_path: Path, backend_inline: BackendUnderTest) -> None:
    task = make_tar(tmp_path / "t.tar", jpegs(3))
    backend_inline.run(
        ImageReaderStage(dali_batch_size=2),
        ConvertImageBatchToDocumentBatchStage(["image_id", "image_path"]),
        ParquetWriter(str(tmp_path / "rows")),
        tasks=[task],
    )
    assert pq.read_table(tmp_path / "rows").num_rows == 3


class DeadlyReader(ImageReaderStage):
    """Stands for a decoder that takes its process along, without a process of its own."""

    def _decoded(self, window: list[Sample]) -> list[Any]:
        if any(sample.content == b"deadly" for sample in window):
            os._exit(7)
        return super()._decoded(window)


def test_a_decoder_that_kills_its_worker_costs_one_archive(tmp_path: Path) -> None:
    tasks = [make_tar(tmp_path / f"{number}.tar", jpegs(3)) for number in range(4)]
    make_tar(tmp_path / "2.tar", {**jpegs(1), "x.jpg": b"deadly"})
    backend = BackendUnderTest("processes", lambda **options: LocalExecutor(num_workers=2, **options), tmp_path)
    result = backend.run(DeadlyReader(verbose=False), tasks=tasks, on_error="quarantine")
    assert sorted(image.image_id for batch in result.outputs for image in batch.data) == [
        f"{archive}_{number:06d}" for archive in (0, 1, 3) for number in range(3)
    ]
    assert len(result.report.failures) == 1


def test_urls_are_read_and_written(backend_inline: BackendUnderTest, tmp_path: Path) -> None:
    import fsspec

    files: Any = fsspec.filesystem("memory")
    files.pipe("/images-test/in/a.tar", Path(make_tar(tmp_path / "a.tar", jpegs(2)).data[0]).read_bytes())
    files.pipe("/images-test/folder/x/1.jpg", JPEG)
    tars = FilePartitioningStage("memory://images-test/in", file_extensions=[".tar"])
    result = backend_inline.run(tars, ImageReaderStage(), ImageWriterStage("memory://images-test/out"))
    written = FileGroupTask(dataset_name="d", data=result.outputs[0].data[:1])
    assert written.data[0].startswith("memory://")
    assert read(ImageReaderStage(), written)[0].num_items == 2
    assert check_output("memory://images-test/out") == []
    (batch,) = backend_inline.run(ImageFolderReader("memory://images-test/folder")).outputs
    assert [image.image_id for image in batch.data] == ["x/1.jpg"]
    files.rm("/images-test", recursive=True)


def test_finished_archives_stay_finished(backend_inline: BackendUnderTest, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        make_tar(tmp_path / "in" / f"{number}.tar", jpegs(2))

    def run(**options: Any) -> RunReport:
        source = FilePartitioningStage(str(tmp_path / "in"), files_per_partition=1, file_extensions=[".tar"])
        reader, writer = ImageReaderStage(**options), ImageWriterStage(str(tmp_path / "out"))
        return backend_inline.run(source, reader, writer, checkpoint_path=str(tmp_path / "checkpoint")).report

    assert run().sources_left_out == 0
    assert run().sources_left_out == 3
    make_tar(tmp_path / "in" / "1.tar", jpegs(3))
    assert run().sources_left_out == 2
    assert run(shorter_side=16).sources_left_out == 0
    assert check_output(str(tmp_path / "out")) == []
