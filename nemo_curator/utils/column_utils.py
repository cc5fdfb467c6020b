"""Names of columns that options give."""

from __future__ import annotations

__all__ = ["resolve_filename_column"]


def resolve_filename_column(column: bool | str) -> str | None:
    """Return the name of the column for file names: ``"file_name"`` for `True`, none for `False`, otherwise the one given.

    Raises:
        ValueError: It is neither a name nor true or false.
    """
    if isinstance(column, bool):
        return "file_name" if column else None
    if not isinstance(column, str) or not column:  # pyright: ignore[reportUnnecessaryIsInstance] - user input
        message = f"add_filename_column must be true, false or the name of a column, got {column!r}"
        raise ValueError(message)
    return column
