"""The examples of images, audio and video leave the same on every backend, and after they were killed and resumed."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.testing import BackendUnderTest

ROOT = Path(__file__).parents[2]

Example = Callable[[BaseExecutor, Path, str | None], dict[str, Any]]
"""Runs an example in a folder, perhaps with a checkpoint, and returns what it leaves, and ``counts`` of this run alone if it has any."""


def _left_in(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        # Manifests say when they were laid down.
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def _images(executor: BaseExecutor, folder: Path, checkpoint: str | None) -> dict[str, Any]:
    pytest.importorskip("rapidocr")
    from examples.image.curate import run

    _, found, dropped = run(folder, executor, quick=True, checkpoint=checkpoint)
    return {"verdicts": found, "files": _left_in(folder / "out"), "counts": dropped}


def _audio(executor: BaseExecutor, folder: Path, checkpoint: str | None) -> dict[str, Any]:
    pytest.importorskip("pocketsphinx")
    from examples.audio.__main__ import build_pipeline, make_recording

    manifest = make_recording(folder / "recordings")
    build_pipeline(manifest, folder, recogniser="pocketsphinx").run(executor, checkpoint_path=checkpoint)
    names = ("all.jsonl", "curated.jsonl")
    lines = {name: (folder / name).read_text().splitlines() for name in names}
    # What comes first depends on who was first.
    return {name: sorted(map(json.dumps, map(json.loads, each))) for name, each in lines.items()}


def _video(executor: BaseExecutor, folder: Path, checkpoint: str | None) -> dict[str, Any]:
    pytest.importorskip("av")
    from examples.video.__main__ import build_pipeline, shipped_videos

    source = folder / "in"
    source.mkdir(exist_ok=True)
    for video in shipped_videos().glob("*.mp4"):
        if not (source / video.name).exists():
            shutil.copy(video, source)
    build_pipeline(source, folder / "out").run(executor, checkpoint_path=checkpoint)
    return _left_in(folder / "out")


EXAMPLES: dict[str, Example] = {"images": _images, "audio": _audio, "video": _video}


class _Place:
    """Where examples run: always in the same folder, as what things are called depends on where their sources are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._expected: dict[str, dict[str, Any]] = {}

    def emptied(self, name: str) -> Path:
        folder = self._folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def expected(self, name: str) -> dict[str, Any]:
        """Return what an example leaves that runs in this process."""
        if name not in self._expected:
            self._expected[name] = EXAMPLES[name](LocalExecutor(mode="inline"), self.emptied(name), None)
        return self._expected[name]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> _Place:
    return _Place(tmp_path_factory.mktemp("examples"))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_leaves_the_same_everywhere(name: str, backend: BackendUnderTest, place: _Place) -> None:
    expected = place.expected(name)
    assert EXAMPLES[name](backend.make(), place.emptied(name), None) == expected


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["images", pytest.param("audio", marks=pytest.mark.soak), "video"])
def test_an_example_that_is_killed_and_resumed_leaves_the_same(name: str, place: _Place) -> None:
    expected, folder = place.expected(name), place.emptied(name)
    chance = random.Random(3)
    command = [sys.executable, __file__, name, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for _ in range(2):
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as driver:
            try:
                driver.wait(chance.uniform(2, 6))
            except subprocess.TimeoutExpired:
                driver.kill()
    subprocess.run(command, check=True, timeout=200, env=environment)
    left = EXAMPLES[name](LocalExecutor(mode="inline"), folder, str(folder / "checkpoint"))
    # The last run counts only what it does itself.
    assert {**left, "counts": None} == {**expected, "counts": None}


if __name__ == "__main__":
    base = Path(sys.argv[2])
    EXAMPLES[sys.argv[1]](LocalExecutor(num_workers=2), base, str(base / "checkpoint"))
