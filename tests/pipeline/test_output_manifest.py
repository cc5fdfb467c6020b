"""What is in an output folder when a run is complete, and what is not touched before."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from killed_runs import contents, make_inputs

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, OutputError, StageFailed
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter, ParquetWriter
from nemo_curator.tasks import DocumentBatch
from nemo_curator.utils.file_listing import METADATA_DIRNAME
from nemo_curator.utils.output_manifest import OutputFolder, check_output

INLINE = LocalExecutor(mode="inline")


class Marked(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Raises for the batch that holds a row as long as a file is there."""

    name = "marked"

    def __init__(self, flag: Path, row: str) -> None:
        self.flag, self.row = flag, row

    def process(self, task: DocumentBatch) -> DocumentBatch:
        if self.flag.exists() and self.row in set(task.to_pandas()["id"]):
            message = "not yet"
            raise ValueError(message)
        return task


class Joined(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Makes one batch of several."""

    name = "joined"
    batch_size = 3

    def process(self, task: DocumentBatch) -> DocumentBatch:
        return task

    def process_batch(self, tasks: list[DocumentBatch]) -> list[DocumentBatch]:
        import pandas as pd

        return [DocumentBatch(tasks[0].dataset_name, pd.concat([task.to_pandas() for task in tasks]))]


def _copy(inputs: Path, *stages: Any) -> Pipeline:
    return Pipeline("copy", stages=[JsonlReader(str(inputs), files_per_partition=1), *stages])


def _manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / METADATA_DIRNAME / "manifest.json").read_bytes())


def _ids(folder: Path) -> Counter[str]:
    return Counter(json.loads(line)["id"] for data in contents(folder).values() for line in data.splitlines())


@pytest.mark.parametrize("writer", [JsonlWriter, ParquetWriter])
@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}])
def test_the_manifest_is_what_is_there(tmp_path: Path, writer: Any, options: dict[str, Any]) -> None:
    out = tmp_path / "out"
    pipeline = _copy(make_inputs(tmp_path / "in"), writer(str(out), write_kwargs=options))
    pipeline.run(INLINE)
    files = contents(out)
    manifest = _manifest(out)
    assert {name: (entry["bytes"], entry["sha256"]) for name, entry in manifest["written"].items()} == {
        name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()
    }
    assert (manifest["files"], manifest["rows"], manifest["bytes"]) == (40, 800, sum(map(len, files.values())))
    assert check_output(str(out)) == []
    first = (out / METADATA_DIRNAME / "manifest.json").read_bytes()
    pipeline.run(INLINE)
    assert (out / METADATA_DIRNAME / "manifest.json").read_bytes() == first


def test_readers_do_not_take_the_manifest_for_data(tmp_path: Path) -> None:
    out, again = tmp_path / "out", tmp_path / "again"
    _copy(make_inputs(tmp_path / "in"), JsonlWriter(str(out))).run(INLINE)
    _copy(out, JsonlWriter(str(again))).run(INLINE)
    assert _ids(again) == _ids(out)


def test_a_remote_folder(tmp_path: Path) -> None:
    url = f"memory://{uuid.uuid4().hex}/out"
    _copy(make_inputs(tmp_path / "in"), JsonlWriter(url)).run(INLINE)
    (written,) = OutputFolder(url).manifests().values()
    assert len(written) == 40
    assert check_output(url) == []
    OutputFolder(url).place[0].pipe_file(f"{OutputFolder(url).place[1]}/old.jsonl", b"{}\n")
    _copy(tmp_path / "in", JsonlWriter(url, mode="overwrite")).run(INLINE)
    assert OutputFolder(url).names() == sorted(written)
    outputs = Pipeline("read", stages=[JsonlReader(url, files_per_partition=50)]).run(INLINE) or []
    assert [task.num_items for task in outputs] == [800]


def test_overwriting_acts_when_the_run_is_complete(tmp_path: Path) -> None:
    out, flag = tmp_path / "out", tmp_path / "flag"
    out.mkdir()
    for name in ("old.jsonl", "old.parquet", "notes.txt", ".hidden.jsonl"):
        (out / name).write_text("old")
    flag.touch()
    pipeline = _copy(make_inputs(tmp_path / "in"), Marked(flag, "7.0"), JsonlWriter(str(out), mode="overwrite"))
    with pytest.raises(StageFailed):
        pipeline.run(INLINE)
    assert {"old.jsonl", "old.parquet", "notes.txt"} < set(contents(out))
    assert not (out / METADATA_DIRNAME).exists()
    flag.unlink()
    pipeline.run(INLINE)
    assert set(contents(out)) == {*_manifest(out)["written"], "notes.txt"}
    assert (out / ".hidden.jsonl").exists()


def test_beside_other_output_the_manifest_grows(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _copy(make_inputs(tmp_path / "in"), JsonlWriter(str(out))).run(INLINE)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "x.jsonl").write_text('{"id": "x"}\n')
    first = _manifest(out)["written"]
    gone = next(iter(first))
    (out / gone).unlink()
    _copy(tmp_path / "more", JsonlWriter(str(out))).run(INLINE)
    (new,) = _manifest(out)["written"].keys() - first.keys()
    assert _manifest(out)["written"].keys() == {*first, new} - {gone}
    assert check_output(str(out)) == []


def test_two_writers_of_one_folder_leave_each_other_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    stages = [ParquetWriter(str(out), mode="overwrite").with_(name="first"), _Again()]
    stages.append(JsonlWriter(str(out), mode="overwrite"))
    pipeline = _copy(make_inputs(tmp_path / "in"), *stages)
    for _ in range(2):
        pipeline.run(INLINE)
        assert len(contents(out)) == 80
        assert _manifest(out)["files"] == 80


class _Again(ProcessingStage[Any, DocumentBatch]):
    """Makes a batch of a file's name."""

    name = "again"

    def process(self, task: Any) -> DocumentBatch:
        import pandas as pd

        return DocumentBatch(task.dataset_name, pd.DataFrame({"id": [Path(task.data[0]).name]}))


def test_shards_have_manifests_of_their_own(tmp_path: Path) -> None:
    out = tmp_path / "out"
    make_inputs(tmp_path / "in")
    pipeline = _copy(tmp_path / "in", JsonlWriter(str(out), mode="overwrite"))
    for _ in range(2):
        for shard in range(3):
            pipeline.run(INLINE, shard=(shard, 3))
    assert len(contents(out)) == 40
    manifests = OutputFolder(str(out)).manifests()
    assert list(manifests) == [f"manifest-000{shard}-of-0003.json" for shard in range(3)]
    assert {name for entries in manifests.values() for name in entries} == set(contents(out))
    assert check_output(str(out)) == []


def test_shards_of_one_checkpoint_and_a_run_of_all(tmp_path: Path) -> None:
    out, checkpoint = tmp_path / "out", str(tmp_path / "c")
    make_inputs(tmp_path / "in")
    pipeline = _copy(tmp_path / "in", JsonlWriter(str(out), mode="overwrite"))
    for shard in range(3):
        pipeline.run(INLINE, shard=(shard, 3), checkpoint_path=checkpoint)
    manifests = OutputFolder(str(out)).manifests()
    assert len(manifests) == 3
    assert sum(map(len, manifests.values())) == 40
    pipeline.run(INLINE, checkpoint_path=checkpoint)
    assert pipeline.last_report is not None
    assert pipeline.last_report.sources_left_out == 40
    assert list(OutputFolder(str(out)).manifests()) == ["manifest.json"]
    assert set(_manifest(out)["written"]) == set(contents(out))


def test_an_input_that_changes_to_and_fro(tmp_path: Path) -> None:
    folder, inputs = tmp_path / "out", tmp_path / "in"
    inputs.mkdir()
    for name in ("a", "b"):
        (inputs / f"{name}.jsonl").write_text(f'{{"text": "{name}"}}\n')
    for text in ("old", "new", "new", "old", "old", "new"):
        (inputs / "a.jsonl").write_text(f'{{"text": "{text}"}}\n')
        os.utime(inputs / "a.jsonl", (0, len(text) + ord(text[0])))
        pipeline = Pipeline(name="p", stages=[JsonlReader(str(inputs)), JsonlWriter(str(folder), mode="overwrite")])
        pipeline.run(INLINE, checkpoint_path=str(tmp_path / "checkpoint"))
        found = sorted(
            json.loads(line)["text"] for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()
        )
        assert found == ["b", text]
        assert check_output(str(folder)) == []


@pytest.mark.parametrize("mode", ["ignore", "overwrite"])
def test_input_that_is_no_longer_there(tmp_path: Path, mode: str) -> None:
    out, checkpoint = tmp_path / "out", str(tmp_path / "c")
    inputs = make_inputs(tmp_path / "in")
    pipeline = _copy(inputs, JsonlWriter(str(out), mode=mode))
    pipeline.run(INLINE, checkpoint_path=checkpoint)
    (inputs / "003.jsonl").unlink()
    (inputs / "004.jsonl").write_text('{"id": "new"}\n')
    pipeline.run(INLINE, checkpoint_path=checkpoint)
    # Inputs are moved away by some once they are done with; only who overwrites wants their output gone too.
    expected = {f"{file}.{row}" for file in range(40) for row in range(20) if file not in (3, 4)} | {"new"}
    expected |= {f"3.{row}" for row in range(20)} if mode == "ignore" else set()
    assert _ids(out) == Counter(dict.fromkeys(expected, 1))
    assert set(_manifest(out)["written"]) == set(contents(out))


@pytest.mark.parametrize("row", ["1.0", "38.0", "0.5"])
def test_what_was_grouped_is_there_once_however_it_is_grouped_again(tmp_path: Path, row: str) -> None:
    out, flag = tmp_path / "out", tmp_path / "flag"
    flag.touch()
    inputs = make_inputs(tmp_path / "in")
    # In the first run one file is missing, so that groups of three are cut otherwise in the second.
    absent = (inputs / "017.jsonl").read_bytes()
    (inputs / "017.jsonl").unlink()
    pipeline = _copy(inputs, Joined(), JsonlWriter(str(out)), _Again(), Marked(flag, ""))
    lines = Pipeline("copy", stages=[*pipeline.stages[:-2], *_after(flag, row)])
    lines.run(LocalExecutor(mode="inline", on_error="quarantine"), checkpoint_path=str(tmp_path / "c"))
    assert lines.last_report is not None
    assert lines.last_report.sources_failed == 3
    (inputs / "017.jsonl").write_bytes(absent)
    flag.unlink()
    lines.run(INLINE, checkpoint_path=str(tmp_path / "c"))
    assert lines.last_report.sources_left_out == 36
    assert _ids(out) == Counter({f"{file}.{row}": 1 for file in range(40) for row in range(20)})
    assert set(_manifest(out)["written"]) == set(contents(out))


def _after(flag: Path, row: str) -> list[ProcessingStage[Any, Any]]:
    class Reads(ProcessingStage[Any, Any]):
        """Raises for the file that has a row, after it was written."""

        name = "reads"

        def process(self, task: Any) -> Any:
            if flag.exists() and f'"id":"{row}"' in Path(task.data[0]).read_text().replace(" ", ""):
                message = "not yet"
                raise ValueError(message)
            return task

    return [Reads()]


def test_a_file_that_is_gone_is_not_taken_for_done(tmp_path: Path) -> None:
    out, flag = tmp_path / "out", tmp_path / "flag"
    flag.touch()
    pipeline = _copy(make_inputs(tmp_path / "in"), Marked(flag, "39.0"), JsonlWriter(str(out)))
    with pytest.raises(StageFailed):
        pipeline.run(INLINE, checkpoint_path=str(tmp_path / "c"))
    flag.unlink()
    lost = next(iter(contents(out)))
    (out / lost).unlink()
    with pytest.raises(OutputError, match=rf"1 files that were written are gone, {lost} among them. Run again with an"):
        pipeline.run(INLINE, checkpoint_path=str(tmp_path / "c"))
    assert not (out / METADATA_DIRNAME / "manifest.json").exists()
    pipeline.run(INLINE, checkpoint_path=str(tmp_path / "another"))
    assert check_output(str(out)) == []


def test_a_replay_adds_to_the_manifest(tmp_path: Path) -> None:
    out, flag = tmp_path / "out", tmp_path / "flag"
    flag.touch()
    pipeline = _copy(make_inputs(tmp_path / "in"), Marked(flag, "5.0"), JsonlWriter(str(out), mode="overwrite"))
    executor = LocalExecutor(mode="inline", on_error="quarantine", quarantine_path=str(tmp_path / "q"))
    pipeline.run(executor)
    assert _manifest(out)["files"] == 39
    flag.unlink()
    pipeline.replay(str(tmp_path / "q"), executor=executor)
    assert _manifest(out)["files"] == len(contents(out)) == 40


def test_a_damaged_manifest_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out = tmp_path / "out"
    pipeline = _copy(make_inputs(tmp_path / "in"), JsonlWriter(str(out)))
    with pytest.raises(DataError, match="out has no manifest: no run that wrote to it has come to its end"):
        check_output(str(out))
    pipeline.run(INLINE)
    manifest = out / METADATA_DIRNAME / "manifest.json"
    whole = manifest.read_text()
    for text in (
        "",
        "[]",
        whole[:-20],
        whole.replace('"format": 1', '"format": 7'),
        whole.replace('"rows"', '"lines"'),
    ):
        manifest.write_text(text)
        with pytest.raises(DataError, match=r"manifest.json is damaged, or was written by another version"):
            check_output(str(out))
        with caplog.at_level(logging.WARNING):
            pipeline.run(INLINE)
        assert "so it is written anew" in caplog.text
        caplog.clear()
        assert manifest.read_text() == whole


def test_files_that_were_changed_are_found(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _copy(make_inputs(tmp_path / "in"), JsonlWriter(str(out))).run(INLINE)
    one, two, three = sorted(contents(out))[:3]
    (out / one).unlink()
    (out / two).write_bytes(b"x" + (out / two).read_bytes()[1:])
    (out / three).write_bytes(b"")
    problems = check_output(str(out))
    assert len(problems) == 3
    assert problems[0] == f"{one}, which manifest.json names, is gone"
    assert problems[1].startswith(f"{two} was changed after it was written")
    assert problems[2].startswith(f"{three} has 0 bytes, and had ")


KILLED = """
import os, signal, sys
from pathlib import Path
from test_output_manifest import INLINE, JsonlWriter, _copy

inputs, out, checkpoint, number, moment, what = sys.argv[1:]
rename, count = os.replace, 0


def replace(source, target):
    global count
    if what in str(target):
        count += 1
        if count == int(number) and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
    rename(source, target)
    if what in str(target) and count == int(number):
        os.kill(os.getpid(), signal.SIGKILL)


os.replace = replace
_copy(inputs, JsonlWriter(out, mode="overwrite")).run(INLINE, checkpoint_path=checkpoint)
"""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(("what", "number"), [("manifest", 1), (".jsonl", 1), (".jsonl", 23), (".jsonl", 40)])
def test_killed_at_a_rename(tmp_path: Path, what: str, number: int, moment: str) -> None:
    inputs, out, whole = make_inputs(tmp_path / "in"), tmp_path / "out", tmp_path / "whole"
    out.mkdir()
    (out / "old.jsonl").write_text("old")
    _copy(inputs, JsonlWriter(str(whole))).run(INLINE)
    command = [sys.executable, "-c", KILLED, *map(str, (inputs, out, tmp_path / "c", number, moment, what))]
    killed = subprocess.run(command, cwd=Path(__file__).parent, env=_environment(), check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert (out / "old.jsonl").exists()
    pipeline = _copy(inputs, JsonlWriter(str(out), mode="overwrite"))
    pipeline.run(INLINE, checkpoint_path=str(tmp_path / "c"))
    assert pipeline.last_report is not None
    # What was under way when it was killed, a bundle of sources, is done again.
    left_out = pipeline.last_report.sources_left_out
    assert left_out == 40 if what == "manifest" else left_out <= number - 1
    assert contents(out) == contents(whole)
    assert _manifest(out) == _manifest(whole)


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}


FULL = """
import resource, signal, sys
from nemo_curator.errors import OutputError
from test_output_manifest import INLINE, JsonlWriter, _copy

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    _copy(sys.argv[1], JsonlWriter(sys.argv[2], mode="overwrite")).run(INLINE)
except Exception as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("room", "said"),
    [(3000, "is whole, but what belongs to it cannot be noted: [Errno 27]"), (500, "[Errno 27]|cannot write")],
)
def test_a_full_disk_leaves_nothing_half_done(tmp_path: Path, room: int, said: str) -> None:
    inputs, out = make_inputs(tmp_path / "in"), tmp_path / "out"
    out.mkdir()
    (out / "old.jsonl").write_text("old")
    command = [sys.executable, "-c", FULL, str(inputs), str(out), str(room)]
    ran = subprocess.run(
        command, cwd=Path(__file__).parent, env=_environment(), capture_output=True, text=True, check=True, timeout=120
    )
    assert any(words in ran.stdout for words in said.split("|"))
    assert (out / "old.jsonl").read_text() == "old"
    assert not (out / METADATA_DIRNAME / "manifest.json").exists()
    assert list(out.rglob("*.tmp")) == []
    _copy(inputs, JsonlWriter(str(out), mode="overwrite")).run(INLINE)
    assert set(_manifest(out)["written"]) == set(contents(out))
