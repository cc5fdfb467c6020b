"""Write the tables of options into `docs/how-to/local-backend.md`, from the classes that read them.

Run it from the root of the repository, after a change of an option: ``.venv/bin/python -m docs.make_tables``. A test fails
when the page is behind.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path

from nemo_curator.backends.local.executor import LocalOptions
from nemo_curator.engine.options import Options, RunOptions

PAGE = Path(__file__).resolve().parent / "how-to" / "local-backend.md"
_ATTRIBUTE = re.compile(r"(\w+): (.*)")


def descriptions(options: type[Options]) -> dict[str, str]:
    """Return what the docstring's section "Attributes" says about each option."""
    section = inspect.getdoc(options).partition("Attributes:\n")[2]  # type: ignore[union-attr]
    found: dict[str, str] = {}
    name = ""
    for line in inspect.cleandoc(section).splitlines():
        if start := _ATTRIBUTE.fullmatch(line):
            name, found[start[1]] = start[1], start[2]
        else:
            found[name] += f" {line.strip()}"
    return found


def table(options: type[Options]) -> str:
    """Return a Markdown table with a row an option."""
    said = descriptions(options)
    rows = ["| option | default | what it does |", "|---|---|---|"]
    rows += [
        f"| `{field.name}` | `{field.default!r}` | {said[field.name].replace('``', '`')} |" for field in fields(options)
    ]
    return "\n".join(rows)


def with_tables(text: str) -> str:
    """Return the page with both tables as they are now."""
    tables = {options.__name__: table(options) for options in (LocalOptions, RunOptions)}
    for name in tables:
        marks = re.compile(f"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        found = marks.findall(text)
        if len(found) != 1:
            message = f"{PAGE.name} has {len(found)} places for the table of {name}, not one"
            raise ValueError(message)
        text = marks.sub(lambda match: f"{match[1]}{tables[match[0].split()[2]]}\n{match[2]}", text)
    return text


def main() -> None:
    """Rewrite the page."""
    PAGE.write_text(with_tables(PAGE.read_text()))


if __name__ == "__main__":
    main()
