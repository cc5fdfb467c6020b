"""The files of a checkpoint: what is written is read again, and what is damaged counts for nothing."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.engine.checkpoint import METADATA_DIRNAME, Checkpoint, Past
from nemo_curator.engine.compile import compile_plan
from nemo_curator.engine.plan import ExecutionPlan
from nemo_curator.engine.sources import mark_of
from nemo_curator.engine.written import FileNote, PastFiles
from nemo_curator.errors import CheckpointError, PlanError
from nemo_curator.testing.stages import Add, Count
from nemo_curator.utils.file_listing import resolve_url
from nemo_curator.utils.output_manifest import WrittenFile

NAMES = [f"0_{number}@{'ab' * 12}" for number in range(20)]


def _plan(amount: int = 1) -> ExecutionPlan:
    return compile_plan([Count(3), Add(amount)], name="p")


def _write(path: str, names: list[str], amount: int = 1) -> None:
    with Checkpoint(path, _plan(amount)) as checkpoint:
        for name in names:
            checkpoint.note((), [name])


def _read(path: str, amount: int = 1) -> Past:
    return Checkpoint(path, _plan(amount)).read()


def _marks(names: list[str]) -> set[bytes]:
    return {mark_of(name) for name in names}


def _files(path: Path) -> list[Path]:
    return sorted((path / METADATA_DIRNAME).glob("finished-*"))


@pytest.fixture(params=["local", "memory"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return (
        str(tmp_path / "new" / "checkpoint") if request.param == "local" else f"memory://{uuid.uuid4().hex}/checkpoint"
    )


def test_what_is_written_is_read(path: str) -> None:
    assert _read(path) == Past()
    _write(path, NAMES[:5])
    _write(path, NAMES[3:9])
    _write(path, ["", 'ä\n"\udcff', "x" * 5000])
    assert _read(path).finished == _marks([*NAMES[:9], "", 'ä\n"\udcff', "x" * 5000])
    with Checkpoint(path, _plan()) as checkpoint:
        sources = checkpoint.plan.stages[0].sources
        assert sources is not None
        assert sources.finished == checkpoint.past.finished
        assert checkpoint.plan.segments[0].stages[0].sources == sources


def test_nothing_finished_leaves_no_file(tmp_path: Path) -> None:
    _write(str(tmp_path), [])
    assert list((tmp_path / METADATA_DIRNAME).iterdir()) == []


def test_what_was_finished_is_there_without_an_end(tmp_path: Path) -> None:
    with Checkpoint(str(tmp_path), _plan()) as checkpoint:
        checkpoint.note((), NAMES[:2])
        checkpoint.note((), NAMES[2:3])
        assert _read(str(tmp_path)).finished == _marks(NAMES[:3])


def test_parts_in_a_store_are_merged() -> None:
    path = f"memory://{uuid.uuid4().hex}"
    with Checkpoint(path, _plan()) as checkpoint:
        writer: Any = checkpoint._writer
        for name in (f"s{number}" for number in range(100)):
            checkpoint.note((), [name])
            writer._flush()
    fs, folder = resolve_url(path)
    assert len([name for name in fs.ls(f"{folder}/{METADATA_DIRNAME}", detail=False) if "finished-" in name]) < 20
    assert len(_read(path).finished) == 100


def test_another_version_of_the_pipeline_counts_apart(path: str) -> None:
    _write(path, NAMES[:4], amount=1)
    _write(path, NAMES[2:9], amount=2)
    past = _read(path, amount=1)
    assert past.finished == _marks(NAMES[:4])
    assert past.others == {"stage 'add' changed: amount": 7}
    text = past.in_words(path)
    assert "4 sources are finished" in text
    assert (
        "7 more were finished by another version of the pipeline and will be run again: stage 'add' changed: amount"
        in text
    )


def _note(number: int, *names: str) -> FileNote:
    return FileNote("writer", WrittenFile(f"/out/{number}", number, 10 * number, "ab" * 32), names)


def test_files_are_whole_with_their_sources(path: str) -> None:
    with Checkpoint(path, _plan()) as checkpoint:
        checkpoint.note([_note(1, "a"), _note(2, "a", "b")], ["a"])
        checkpoint.note([_note(3, "c"), _note(4)], ["c"])
    with Checkpoint(path, _plan()) as checkpoint:
        # What another run finishes does not make whole what this one had begun.
        checkpoint.note([_note(5, "d")], ["b", "d"])
    past = _read(path)
    assert past.finished == _marks(["a", "b", "c", "d"])
    assert {path: file.rows for path, (file, _) in past.files.whole["writer"].items()} == {
        "/out/1": 1,
        "/out/3": 3,
        "/out/5": 5,
    }
    assert past.files.loose == {"writer": {"/out/2", "/out/4"}}
    assert _read(path, amount=2).files == PastFiles()


def _other(number: int, content: str, *names: str) -> FileNote:
    return FileNote("writer", WrittenFile(f"/out/{number}", number, 10 * number, content * 32), names)


def test_a_file_is_the_last_run_s_that_wrote_it(path: str) -> None:
    # An input changes: its source has another name, and its output the same one.
    for content, source in [("aa", "old"), ("bb", "new")]:
        with Checkpoint(path, _plan()) as checkpoint:
            checkpoint.note([_other(1, content, source), _note(2, "else")], [source, "else"])
    past = _read(path)
    assert past.finished == _marks(["new", "else"])
    assert past.files.whole["writer"]["/out/1"] == (_other(1, "bb").file, frozenset(_marks(["new"])))
    # It changes back: the old one is done again, and then counts.
    with Checkpoint(path, _plan()) as checkpoint:
        checkpoint.note([_other(1, "aa", "old")], ["old"])
    assert _read(path).finished == _marks(["old", "else"])


def test_a_file_that_another_version_of_the_pipeline_has_replaced_is_not_there(path: str) -> None:
    for amount, content in [(1, "aa"), (2, "bb")]:
        with Checkpoint(path, _plan(amount)) as checkpoint:
            checkpoint.note([_other(1, content, "a"), _other(2, "cc", "b")], ["a", "b"])
    assert _read(path, amount=1).finished == _marks(["b"])
    assert _read(path, amount=2).finished == _marks(["a", "b"])


def test_a_file_that_was_replaced_by_a_run_that_did_not_finish_it_is_not_there(path: str) -> None:
    with Checkpoint(path, _plan()) as checkpoint:
        checkpoint.note([_other(1, "aa", "old"), _other(2, "aa", "old")], ["old"])
    with Checkpoint(path, _plan()) as checkpoint:
        checkpoint.note([_other(1, "bb", "new")], [])
    past = _read(path)
    assert past.finished == set()
    assert past.files == PastFiles(loose={"writer": {"/out/1", "/out/2"}})


def test_two_sources_of_the_same_content_are_both_finished(path: str) -> None:
    for source in ("old", "new"):
        with Checkpoint(path, _plan()) as checkpoint:
            checkpoint.note([_other(1, "aa", source)], [source])
    past = _read(path)
    assert past.finished == _marks(["old", "new"])
    assert past.files.whole["writer"]["/out/1"][1] == _marks(["old", "new"])


def test_what_is_forgotten_is_not_there(path: str) -> None:
    with Checkpoint(path, _plan()) as checkpoint:
        checkpoint.note([_note(1, "a")], ["a"])
        checkpoint.forget()
        checkpoint.note([_note(2, "b")], ["b"])
        checkpoint.forget()
        checkpoint.forget()
        checkpoint.note([_note(3, "a")], ["a"])
    past = _read(path)
    assert past.finished == _marks(["a"])
    assert list(past.files.whole["writer"]) == ["/out/3"]


def test_nothing_counts_after_a_line_that_is_damaged(tmp_path: Path) -> None:
    _write(str(tmp_path), NAMES[:9])
    (file,) = _files(tmp_path)
    lines = file.read_bytes().splitlines(keepends=True)
    lines[5] = lines[5].replace(b"@", b"#")
    file.write_bytes(b"".join(lines))
    past = _read(str(tmp_path))
    assert past.finished == _marks(NAMES[:4])
    (warning,) = past.warnings
    assert warning.startswith("line 6 of finished-")
    assert "it and the 4 lines after it count for nothing; their sources are run again" in warning


def test_an_older_format_counts_for_nothing(tmp_path: Path) -> None:
    _write(str(tmp_path), NAMES[:3])
    (file,) = _files(tmp_path)
    file.write_bytes(file.read_bytes().replace(b'"format": 2', b'"format": 1'))
    past = _read(str(tmp_path))
    assert past.finished == set()
    assert "was written by an older version, which did not note files, and counts for nothing" in past.warnings[0]


@given(cut=st.integers(0, 3000))
def test_a_file_that_ends_anywhere_says_nothing_wrong(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cut")
    _write(str(folder), NAMES)
    (file,) = _files(folder)
    data = file.read_bytes()
    file.write_bytes(data[: cut % len(data)])
    past = _read(str(folder))
    whole = data[: cut % len(data)].count(b"\n") - 1
    assert past.finished == _marks(NAMES[: max(0, whole)])


@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_an_altered_byte_says_nothing_wrong(position: int, bit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("bit")
    _write(str(folder), NAMES)
    (file,) = _files(folder)
    data = bytearray(file.read_bytes())
    data[position % len(data)] ^= 1 << bit
    file.write_bytes(data)
    # A header of a newer format, as far as anybody can see, is refused.
    with contextlib.suppress(CheckpointError):
        past = _read(str(folder))
        assert past.finished <= _marks(NAMES)
        # The last line feed is the one byte that nobody misses aloud.
        assert past.warnings or past.others or len(past.finished) >= len(NAMES) - 1


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    _write(str(tmp_path), NAMES[:2])
    folder = tmp_path / METADATA_DIRNAME
    (folder / "finished-foreign.log").write_bytes(b"\x00\xff not ours\n0_1\n")
    (folder / "finished-empty.log").write_bytes(b"")
    (folder / "finished-other.log").write_text('{"kind": "other"}\n')
    (folder / "finished-half.log").write_text(json.dumps({"kind": "nemo_curator finished sources", "format": 2}) + "\n")
    (folder / "host-12.mdb").write_bytes(b"lmdb")
    past = _read(str(tmp_path))
    assert past.finished == _marks(NAMES[:2])
    assert len(past.warnings) == 4
    assert all("counts for nothing" in warning for warning in past.warnings)


def test_a_newer_format_is_refused_in_words(tmp_path: Path) -> None:
    _write(str(tmp_path), NAMES[:2])
    header = {"kind": "nemo_curator finished sources", "format": 3, "stages": []}
    (tmp_path / METADATA_DIRNAME / "finished-new.log").write_text(json.dumps(header) + "\n")
    with pytest.raises(
        CheckpointError, match=r"finished-new.log .* format 3, and this version .* reads up to 2; install"
    ):
        _read(str(tmp_path))


def test_stages_without_sources_are_refused() -> None:
    class Everything(Add):
        is_resumable = False

    plan = compile_plan([Count(3), Everything(1).with_(name="everything")], name="p")
    with pytest.raises(PlanError, match=r"pipeline 'p' cannot be resumed: 'everything' sets is_resumable=False"):
        Checkpoint("memory://x", plan)


FULL = """
import resource, signal, sys
from nemo_curator.engine.checkpoint import Checkpoint
from nemo_curator.engine.compile import compile_plan
from nemo_curator.errors import CheckpointError
from nemo_curator.testing.stages import Add, Count
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    with Checkpoint(sys.argv[1], compile_plan([Count(3), Add(1)], name="p")) as checkpoint:
        for number in range(1000):
            checkpoint.note((), [f"0_{number}"])
except CheckpointError as error:
    print(error)
"""


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "cannot be written: [Errno 27]" in said.stdout
    past = _read(str(tmp_path))
    assert 10 < len(past.finished) < 1000
    assert past.finished == _marks([f"0_{number}" for number in range(len(past.finished))])
    assert list((tmp_path / METADATA_DIRNAME).glob("running-*")) == []


def test_a_path_that_cannot_be_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"checkpoint .*file/checkpoint cannot be used: "):
        Checkpoint(str(tmp_path / "file" / "checkpoint"), _plan()).__enter__()
