"""Published data sets: what lies ready, and what is downloaded."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sounds import SPEECH, soundfile

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.errors import DataError, InputError, OptionError, OutputError, TransientError
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.audio import GetAudioDurationStage
from nemo_curator.stages.audio.datasets.fleurs.create_initial_manifest import CreateInitialManifestFleursStage
from nemo_curator.stages.audio.datasets.readspeech import CreateInitialManifestReadSpeechStage
from nemo_curator.tasks import EmptyTask
from nemo_curator.testing.web import LoopbackWeb, Reply
from nemo_curator.utils.http_fetch import HttpPolicy

POLICY = HttpPolicy(attempts=2, sleep=lambda _: None)


def _archive(mode: str, names: dict[str, str | None]) -> bytes:
    """A tar archive of recordings by their names in it; of text where there is none."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=f"w:{mode}") as archive:  # pyright: ignore[reportCallIssue, reportArgumentType]
        for name, path in names.items():
            data = b"notes" if path is None else Path(path).read_bytes()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def _row(number: int, name: str, text: str) -> str:
    return "\t".join([str(number), name, text, text.lower(), "| ".join(text), "16000", "FEMALE"])


TABLE = "\n".join([_row(1, "b.wav", "Zweiter Satz."), _row(2, "a.wav", "Erster Satz."), _row(3, "lost.wav", "Fehlt.")])


@pytest.fixture
def web() -> Iterator[LoopbackWeb]:
    with LoopbackWeb() as server:
        yield server


def _fleurs(folder: Path, **options: Any) -> CreateInitialManifestFleursStage:
    return CreateInitialManifestFleursStage(
        **{"lang": "de_de", "split": "dev", "raw_data_dir": str(folder), "policy": POLICY, **options}
    )


def _stage_fleurs(folder: Path) -> None:
    (folder / "de_de" / "dev").mkdir(parents=True)
    (folder / "de_de" / "dev.tsv").write_text(TABLE, encoding="utf-8")
    for name, path in zip(("a.wav", "b.wav"), SPEECH, strict=False):
        (folder / "de_de" / "dev" / name).symlink_to(path)


def test_what_lies_ready_is_read_without_the_network(tmp_path: Path, web: LoopbackWeb) -> None:
    _stage_fleurs(tmp_path)
    stage = _fleurs(tmp_path, base_url=web.url, auto_download=False, filepath_key="path", text_key="said")
    stage.check_before_run()
    folder = tmp_path / "de_de" / "dev"
    assert [task.data for task in stage.process(EmptyTask())] == [
        {"path": str(folder / "b.wav"), "said": "Zweiter Satz."},
        {"path": str(folder / "a.wav"), "said": "Erster Satz."},
    ]
    assert stage._consume_drops() == {"no_recording": 1}
    # Complete as it is, nothing is asked for with a download allowed, either.
    assert len(_fleurs(tmp_path, base_url=web.url).process(EmptyTask())) == 2
    assert web.requests == []


@pytest.mark.parametrize("missing", ["dev.tsv", "dev"])
def test_nothing_is_downloaded_without_leave(tmp_path: Path, web: LoopbackWeb, missing: str) -> None:
    _stage_fleurs(tmp_path)
    (tmp_path / "de_de" / missing).rename(tmp_path / "elsewhere")
    stage = _fleurs(tmp_path, base_url=web.url, auto_download=False)
    for step in (stage.check_before_run, lambda: stage.process(EmptyTask())):
        with pytest.raises(InputError, match=rf"there is no .*{missing}, and auto_download=False"):
            step()
    assert web.requests == []


@pytest.mark.parametrize("kept", [False, True])
def test_fleurs_is_downloaded_once_and_complete(tmp_path: Path, web: LoopbackWeb, kept: bool) -> None:
    web.serve("/de_de/dev.tsv", Reply(b"busy", 503), TABLE.encode())
    content = _archive(
        "gz", {"dev/a.wav": SPEECH[0], "dev/b.wav": SPEECH[1], "dev/readme": None, "../../evil.wav": SPEECH[2]}
    )
    web.serve("/de_de/audio/dev.tar.gz", content)
    cache = {"cache_dir": str(tmp_path / "cache")} if kept else {}
    stage = _fleurs(tmp_path / "raw", base_url=web.url, **cache)
    pipeline = Pipeline("fleurs", stages=[stage, GetAudioDurationStage()])
    for _ in range(2):
        found = pipeline.run(LocalExecutor(mode="inline", preserve_order=True)) or []
        lengths = [soundfile.info(path).frames / 16000 for path in (SPEECH[1], SPEECH[0])]
        assert [task.data["duration"] for task in found] == pytest.approx(lengths)
    assert web.count("/de_de/audio/dev.tar.gz") == 1
    # A name that leads out of the archive leads nowhere.
    assert sorted(path.name for path in (tmp_path / "raw").rglob("*") if path.is_file()) == [
        "a.wav",
        "b.wav",
        "dev.tsv",
        "evil.wav",
    ]
    assert not (tmp_path / "evil.wav").exists()
    assert kept == (tmp_path / "cache" / "fleurs_de_de_dev.tar.gz").exists()


def test_downloads_that_fail_leave_nothing_behind(tmp_path: Path, web: LoopbackWeb) -> None:
    stage = _fleurs(tmp_path, base_url=web.url)
    with pytest.raises(InputError, match="404"):
        stage.process(EmptyTask())
    web.serve("/de_de/dev.tsv", TABLE.encode())
    web.serve("/de_de/audio/dev.tar.gz", Reply(b"x" * 100, cut=10))
    with pytest.raises(TransientError, match=r"dev\.tar\.gz in 2 attempts"):
        stage.process(EmptyTask())
    web.serve("/de_de/audio/dev.tar.gz", _archive("gz", {"readme": None}))
    with pytest.raises(DataError, match="holds no recordings"):
        stage.process(EmptyTask())
    web.serve("/de_de/audio/dev.tar.gz", b"no archive")
    with pytest.raises(DataError, match="not a tar archive"):
        stage.process(EmptyTask())
    assert sorted(path.name for path in (tmp_path / "de_de").iterdir()) == ["dev.tsv"]
    (tmp_path / "de_de" / "dev.tsv").write_text("1\ta.wav\tzu kurz")
    (tmp_path / "de_de" / "dev").mkdir()
    with pytest.raises(DataError, match=r"line 1 of .*dev\.tsv has 3 columns"):
        stage.process(EmptyTask())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lang": ""}, "lang must be given"),
        ({"split": ""}, "split must be given"),
        ({"raw_data_dir": ""}, "raw_data_dir must be given"),
        ({"filepath_key": ""}, "filepath_key must be given"),
        ({"text_key": ""}, "text_key must be given"),
        ({"lang": "../de"}, "lang must be a language"),
        ({"split": "all"}, "split must be one of train, dev, test"),
    ],
)
def test_missing_options_are_named(tmp_path: Path, options: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        _fleurs(tmp_path, **options)


NAMES = [f"book_0{number}_chp_0001_reader_0{number}7_0.wav" for number in range(3)]


def _read_speech(folder: Path, **options: Any) -> CreateInitialManifestReadSpeechStage:
    return CreateInitialManifestReadSpeechStage(**{"raw_data_dir": str(folder), "policy": POLICY, **options})


def test_read_speech_that_lies_ready_is_taken_in_order(tmp_path: Path, web: LoopbackWeb) -> None:
    (tmp_path / "deep").mkdir()
    for name in [*NAMES, "deep/other.wav", "notes.txt"]:
        (tmp_path / name).write_bytes(b"")
    for auto_download in (False, True):
        stage = _read_speech(tmp_path, max_samples=2, auto_download=auto_download, archive_url=web.url)
        stage.check_before_run()
        first, second = stage.process(EmptyTask())
        assert first.data == {
            "audio_filepath": str(tmp_path / NAMES[0]),
            "book_id": "00",
            "chapter_id": "0001",
            "reader_id": "007",
        }
        assert second.data["book_id"] == "01"
    everything = _read_speech(tmp_path, max_samples=None).process(EmptyTask())
    assert [Path(task.data["audio_filepath"]).name for task in everything] == [*NAMES, "other.wav"]
    assert "book_id" not in everything[-1].data
    assert web.requests == []


def test_read_speech_is_downloaded_once(tmp_path: Path, web: LoopbackWeb) -> None:
    names = {f"datasets/{name}": path for name, path in zip(NAMES, SPEECH, strict=False)}
    url = web.serve("/read.tar.bz2", _archive("bz2", {"datasets/license.txt": None, **names}))
    stage = _read_speech(tmp_path, max_samples=2, archive_url=url)
    for _ in range(2):
        found = stage.process(EmptyTask())
        assert [Path(task.data["audio_filepath"]).read_bytes() for task in found] == [
            Path(path).read_bytes() for path in SPEECH[:2]
        ]
    assert web.count("/read.tar.bz2") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["read_speech"]


def test_read_speech_is_not_downloaded_without_leave(tmp_path: Path, web: LoopbackWeb) -> None:
    stage = _read_speech(tmp_path, auto_download=False, archive_url=web.url)
    for step in (stage.check_before_run, lambda: stage.process(EmptyTask())):
        with pytest.raises(InputError, match=r"no recording in .* and auto_download=False"):
            step()
    assert web.requests == []
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is not a folder"):
        _read_speech(tmp_path / "file").check_before_run()
    for options in ({"max_samples": 0}, {"raw_data_dir": ""}):
        with pytest.raises(OptionError, match="stage "):
            _read_speech(tmp_path, **options)
