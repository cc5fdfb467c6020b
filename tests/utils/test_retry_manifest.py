"""What is marked complete is found again, and what cannot be believed is told with its file."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.engine import checkpoint
from nemo_curator.errors import CheckpointError, CuratorError, DataError, OptionError
from nemo_curator.utils.retry_manifest import (
    METADATA_DIRNAME,
    CompletionManifest,
    CompletionManifestRecord,
    read_completion_manifests,
)

IDENTITY = {"part": 3, "of": "ä"}


def _folder(root: Path, name: str = ".work_completion") -> Path:
    folder = root / METADATA_DIRNAME / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_the_name_of_the_folder_is_written_once() -> None:
    assert METADATA_DIRNAME == ".nemo_curator_metadata"
    assert checkpoint.METADATA_DIRNAME is METADATA_DIRNAME


def test_what_is_marked_is_read(tmp_path: Path) -> None:
    path = CompletionManifest(tmp_path / "new", "work", IDENTITY).mark_completed({"seconds": 1.5})
    digest = hashlib.sha256(json.dumps(IDENTITY, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]
    assert path == _folder(tmp_path / "new") / f"completed_work_{digest}.json"
    assert path.read_text().endswith("}\n")
    payload = {**IDENTITY, "seconds": 1.5, "status": "completed"}
    assert read_completion_manifests(tmp_path / "new", namespace="work") == [CompletionManifestRecord(path, payload)]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"a": 1}),
        ({"flatten_identity": False}, {"identity": {"a": 1}}),
        ({"metadata": {"m": [2]}}, {"a": 1, "metadata": {"m": [2]}}),
        ({"metadata": {"m": [2]}, "flatten_metadata": True}, {"a": 1, "m": [2]}),
        (
            {"metadata": {"a": 2}, "flatten_identity": False, "flatten_metadata": True},
            {"identity": {"a": 1}, "a": 2},
        ),
        ({"metadata": {}}, {"a": 1, "metadata": {}}),
        ({"flatten_metadata": True}, {"a": 1}),
    ],
)
def test_where_identity_and_metadata_stand(tmp_path: Path, options: Any, expected: Any) -> None:
    path = CompletionManifest(tmp_path, "work", {"a": 1}, **options).mark_completed({"x": None})
    assert path is not None
    assert json.loads(path.read_text()) == {**expected, "x": None, "status": "completed"}


@given(
    identity=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=4),
    order=st.randoms(),
)
def test_the_file_is_the_identitys(identity: dict[str, Any], order: Any) -> None:
    items = list(identity.items())
    order.shuffle(items)
    first = CompletionManifest("c", "work", identity, flatten_identity=False)
    second = CompletionManifest("c", "work", dict(items), flatten_identity=False, metadata={"m": 1})
    other = CompletionManifest("c", "work", {**identity, "one": "more"}, flatten_identity=False)
    assert first.path == second.path
    assert first.path != other.path or identity == {**identity, "one": "more"}


def test_marking_again_replaces(tmp_path: Path) -> None:
    manifest = CompletionManifest(tmp_path, "work", IDENTITY)
    manifest.mark_completed({"attempt": 1})
    manifest.mark_completed({"attempt": 2})
    (record,) = read_completion_manifests(tmp_path, namespace="work")
    assert record.payload["attempt"] == 2


def test_a_mark_is_withdrawn(tmp_path: Path) -> None:
    manifest = CompletionManifest(tmp_path, "work", IDENTITY)
    manifest.withdraw()
    manifest.mark_completed()
    manifest.withdraw()
    assert read_completion_manifests(tmp_path, namespace="work") == []


@pytest.mark.parametrize("enabled", [True, False], ids=["no path", "disabled"])
def test_a_disabled_manifest_writes_nothing(tmp_path: Path, enabled: bool) -> None:
    with CompletionManifest(None if enabled else tmp_path, "work", IDENTITY, enabled=enabled) as manifest:
        manifest.withdraw()
    assert manifest.path is None
    assert manifest.mark_completed() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt, SystemExit])
def test_a_block_marks_if_it_ends_cleanly(tmp_path: Path, error: type[BaseException] | None) -> None:
    def work() -> None:
        with CompletionManifest(tmp_path, "work", IDENTITY):
            if error is not None:
                raise error

    if error is None:
        work()
    else:
        with pytest.raises(error):
            work()
    assert len(read_completion_manifests(tmp_path, namespace="work")) == (error is None)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"identity": {"status": "x"}}, "'status' twice"),
        ({"metadata": {"a": 1}, "flatten_metadata": True}, "'a' twice"),
        ({"identity": {"metadata": 1}, "metadata": {}}, "'metadata' twice"),
        ({"identity": {"a": {1}}}, "cannot be written as JSON: Object of type set"),
        ({"metadata": {"p": Path()}}, "cannot be written as JSON"),
        ({"namespace": ""}, "a namespace and the plain name of a folder"),
        ({"completion_dirname": "../x"}, "plain name of a folder"),
        ({"completion_dirname": ".."}, "plain name of a folder"),
        ({"checkpoint_path": "s3://bucket/x"}, r"checkpoint s3://bucket/x is not on a disk"),
    ],
)
def test_what_could_not_be_written_is_told_at_once(tmp_path: Path, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        CompletionManifest(**{"checkpoint_path": tmp_path, "namespace": "work", "identity": {"a": 1}, **arguments})


@pytest.mark.parametrize(("extra", "told"), [({"part": 4}, "'part' twice"), ({"x": object()}, "as JSON")])
def test_extra_that_cannot_be_written_is_told(tmp_path: Path, extra: Any, told: str) -> None:
    with pytest.raises(OptionError, match=told):
        CompletionManifest(tmp_path, "work", IDENTITY).mark_completed(extra)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / METADATA_DIRNAME).write_text("in the way")
    manifest = CompletionManifest(tmp_path, "work", IDENTITY)
    with pytest.raises(CheckpointError, match=r"completed_work_\w+\.json cannot be written: .*run it again"):
        manifest.mark_completed()
    with pytest.raises(CheckpointError, match=r"completed_work_\w+\.json cannot be removed"):
        manifest.withdraw()
    with pytest.raises(DataError, match=r"\.work_completion cannot be read"):
        read_completion_manifests(tmp_path, namespace="work")


def test_names_become_safe(tmp_path: Path) -> None:
    path = CompletionManifest(tmp_path, "a b/ü.x-1", IDENTITY).mark_completed()
    assert path is not None
    assert path.parent == tmp_path / METADATA_DIRNAME / ".a_b__.x-1_completion"
    assert path.name.startswith("completed_a_b__.x-1_")
    assert len(read_completion_manifests(tmp_path, namespace="a b/ü.x-1")) == 1


def test_a_file_url_is_its_path(tmp_path: Path) -> None:
    CompletionManifest(f"file://{tmp_path}", "work", IDENTITY).mark_completed()
    assert len(read_completion_manifests(str(tmp_path), namespace="work")) == 1


def test_kinds_of_work_share_a_folder(tmp_path: Path) -> None:
    for namespace in ("a", "a_b", "b"):
        CompletionManifest(tmp_path, namespace, {"n": namespace}, completion_dirname=".all").mark_completed()
    folder = _folder(tmp_path, ".all")
    (folder / "run.json").write_text("not a manifest")
    (folder / ".completed_a_x.json.12.tmp").write_text("a writer was killed")
    for namespace in ("a", "a_b", "b"):
        records = read_completion_manifests(tmp_path, namespace=namespace, completion_dirname=".all")
        assert [record.payload["n"] for record in records] == [namespace]


def test_nothing_there_is_nothing(tmp_path: Path) -> None:
    assert read_completion_manifests(tmp_path / "no" / "where", namespace="work") == []
    _folder(tmp_path)
    assert read_completion_manifests(tmp_path, namespace="work") == []


@pytest.mark.parametrize(
    ("content", "kind", "told"),
    [
        (b"", DataError, "cannot be read as a completion manifest"),
        (b'{"status": "compl', DataError, "cannot be read as a completion manifest"),
        (b"\xff\xfe", DataError, "cannot be read as a completion manifest"),
        (b"[" * 100_000, DataError, "cannot be read as a completion manifest"),
        (b'{"status": "running"}', DataError, "has the status 'running'"),
        (b'["completed"]', TypeError, "an object was expected, and it holds a list"),
        (b"null", TypeError, "an object was expected"),
        (b"{}", TypeError, "its status should be 'completed', and is None"),
        (b'{"status": 1}', TypeError, "and is 1"),
    ],
)
def test_damaged_files_are_told(tmp_path: Path, content: bytes, kind: type[Exception], told: str) -> None:
    file = _folder(tmp_path) / "completed_work_bad.json"
    file.write_bytes(content)
    with pytest.raises(kind, match=f"completed_work_bad.json .*{told}.*; delete it") as caught:
        read_completion_manifests(tmp_path, namespace="work")
    assert isinstance(caught.value, (ValueError, TypeError))
    assert isinstance(caught.value, CuratorError) or type(caught.value) is TypeError


def test_a_folder_in_place_of_a_file_is_told(tmp_path: Path) -> None:
    os.mkdir(_folder(tmp_path) / "completed_work_bad.json")
    with pytest.raises(ValueError, match=r"completed_work_bad\.json cannot be read"):
        read_completion_manifests(tmp_path, namespace="work")
