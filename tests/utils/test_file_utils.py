from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from nemo_curator.errors import InputError, MissingExtra
from nemo_curator.utils import file_utils
from nemo_curator.utils.file_listing import iter_files, path_exists, resolve_url


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, size in {"b.jsonl": 3, "a.JSONL": 9, "sub/c.jsonl.gz": 1, "sub/deep/d.parquet": 2, "e": 0}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    return tmp_path


def names(paths: list[str], root: object) -> list[str]:
    return [path.removeprefix(f"{root}/") for path in paths]


@pytest.fixture
def memory(tree: Path) -> str:
    fs = MemoryFileSystem()
    fs.store.clear()
    fs.put(f"{tree}/", "/tree/", recursive=True)
    return "memory:///tree"


@pytest.mark.parametrize("lazily", [False, True])
@pytest.mark.parametrize("where", ["tree", "memory"])
def test_listing_is_the_same_on_every_filesystem(where: str, lazily: bool, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue(where)

    def listed(pattern: str, recurse: bool = True) -> dict[str, int]:
        found = iter_files(f"{root}{pattern}", recurse=recurse, lazily=lazily)
        return {file.path.removeprefix(f"{root}/"): file.size for file in found}

    everything = {"a.JSONL": 9, "b.jsonl": 3, "e": 0, "sub/c.jsonl.gz": 1, "sub/deep/d.parquet": 2}
    assert listed("") == everything
    assert listed("", recurse=False) == {"a.JSONL": 9, "b.jsonl": 3, "e": 0}
    assert listed("/b.jsonl") == {"b.jsonl": 3}
    assert listed("/*.jsonl") == {"b.jsonl": 3}
    assert listed("/s*") == {"sub/c.jsonl.gz": 1}
    assert listed("/missing") == listed("/*.csv") == {}
    assert [path_exists(f"{root}{end}") for end in ("", "/b.jsonl", "/*.jsonl", "/missing", "/*.csv")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_a_loop_of_links_ends(tree: Path) -> None:
    (tree / "sub" / "up").symlink_to(tree)
    assert len(list(iter_files(str(tree)))) == 5


def test_a_name_may_look_like_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "a[1].jsonl").write_text("x")
    assert [file.path for file in iter_files(f"{tmp_path}/a[1].jsonl")] == [f"{tmp_path}/a[1].jsonl"]
    assert len(list(iter_files(f"{tmp_path}/*.jsonl"))) == 1


def test_files_are_listed_sorted_and_filtered(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    listed = file_utils.get_all_file_paths_under
    assert names(listed(str(tree)), tree) == ["a.JSONL", "b.jsonl", "e"]
    with caplog.at_level(logging.WARNING):
        kept = listed(f"file://{tree}", recurse_subdirectories=True, keep_extensions="jsonl")
    assert names(kept, tree) == ["a.JSONL", "b.jsonl", "sub/c.jsonl.gz"]
    assert "left out 2 of 5 files: they do not end in .jsonl" in caplog.text


def test_files_are_listed_with_sizes(tree: Path) -> None:
    listed = file_utils.get_all_file_paths_and_size_under
    by_size = listed(str(tree), recurse_subdirectories=True, keep_extensions=[".jsonl"])
    assert [size for _, size in by_size] == [1, 3, 9]
    by_path = listed(str(tree), sort_by_size=False)
    assert names([path for path, _ in by_path], tree) == ["a.JSONL", "b.jsonl", "e"]


def test_unknown_filesystems_are_refused() -> None:
    with pytest.raises(InputError, match="nosuch://x has a protocol that fsspec does not know"):
        resolve_url("nosuch://x")
    # Not S3: the tests bring the package for that one.
    with pytest.raises(MissingExtra, match="needs a package that is not installed: Please install gcsfs"):
        file_utils.get_fs("gs://bucket/key")


@pytest.mark.parametrize("where", ["tree", "memory"])
def test_folders_are_checked_cleared_and_made(where: str, request: pytest.FixtureRequest) -> None:
    root = str(request.getfixturevalue(where))
    assert file_utils.is_not_empty(root)
    assert not file_utils.is_not_empty(f"{root}/e")
    file_utils.create_or_overwrite_dir(f"{root}/sub")
    assert not file_utils.is_not_empty(f"{root}/sub")
    file_utils.delete_dir(f"{root}/sub")
    file_utils.delete_dir(f"{root}/missing")
    assert not path_exists(f"{root}/sub")
    fs = file_utils.get_fs(root)
    with pytest.raises(ValueError, match="either fs or storage_options"):
        file_utils.is_not_empty(root, fs=fs, storage_options={"a": 1})


def test_output_modes(tree: Path) -> None:
    fs, folder = resolve_url(str(tree / "sub"))
    file_utils.check_output_mode("ignore", fs, folder)
    assert (tree / "sub" / "c.jsonl.gz").exists()
    with pytest.raises(FileExistsError, match="choose another output folder"):
        file_utils.check_output_mode("error", fs, folder)
    with pytest.raises(NotImplementedError, match="'append' is not implemented"):
        file_utils.check_output_mode("append", fs, folder)
    file_utils.check_output_mode("append", fs, folder, append_mode_implemented=True)
    with pytest.raises(ValueError, match="mode 'x' is not known; known: ignore"):
        file_utils.check_output_mode("x", fs, folder)
    file_utils.check_output_mode("overwrite", fs, folder)
    assert list((tree / "sub").iterdir()) == []
    file_utils.check_output_mode("error", fs, f"{folder}/new")
    assert (tree / "sub" / "new").is_dir()


@pytest.mark.parametrize(
    ("path", "kind", "name"),
    [
        ("/data/My Corpus/a.jsonl", "file", "my corpus"),
        ("a.jsonl", "file", "a"),
        ("/data/Corpus/", "directory", "corpus"),
        ("s3://bucket/Corpus/A.jsonl", "file", "a.jsonl"),
    ],
)
def test_data_sets_are_named_by_their_folder(path: str, kind: str, name: str) -> None:
    assert file_utils.infer_dataset_name_from_path(path, path_kind=kind) == name  # pyright: ignore[reportArgumentType]


def test_small_helpers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert file_utils.get_default_file_extensions("jsonl") == [".jsonl", ".json"]
    with pytest.raises(ValueError, match="file type 'x' is not known; known: parquet, jsonl, megatron"):
        file_utils.get_default_file_extensions("x")
    assert file_utils.infer_protocol_from_paths(["/a", "s3://b/c"]) == "s3"
    assert file_utils.infer_protocol_from_paths(["/a"]) is None
    file_utils.check_disallowed_kwargs({"a": 1}, ["b"])
    with pytest.raises(ValueError, match="lines cannot be given here"):
        file_utils.check_disallowed_kwargs({"lines": 1}, ["lines"])
    file_utils.check_disallowed_kwargs({"lines": 1}, ["lines"], raise_error=False)
    assert "lines cannot be given here" in caplog.text
    file_utils.write_json_file(f"{tmp_path}/new/a.json", {"é": [1]})
    assert file_utils.read_json_file(f"{tmp_path}/new/a.json") == {"é": [1]}


def test_columns_are_selected(caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame({"a": [1], "b": [2]})
    assert file_utils.pandas_select_columns(frame, None, "f") is frame
    selected = file_utils.pandas_select_columns(frame, ["b", "x"], "f")
    assert selected is not None
    assert list(selected.columns) == ["b"]
    assert "f has no column x; it has: a, b" in caplog.text
    assert file_utils.pandas_select_columns(frame, ["x"], "f") is None
