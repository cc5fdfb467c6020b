"""Names of columns that options give."""

from __future__ import annotations

import pytest

from nemo_curator.utils.column_utils import resolve_filename_column


@pytest.mark.parametrize(("given", "name"), [(True, "file_name"), (False, None), ("source", "source")])
def test_names_of_the_filename_column(given: bool | str, name: str | None) -> None:
    assert resolve_filename_column(given) == name


@pytest.mark.parametrize("given", ["", None, 1, ["a"]])
def test_what_is_no_name(given: object) -> None:
    with pytest.raises(ValueError, match="add_filename_column must be"):
        resolve_filename_column(given)  # type: ignore[arg-type]
