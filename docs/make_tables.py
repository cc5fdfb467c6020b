"""Write the tables of options into the pages of the backends, from the classes that read them.

Run it from the root of the repository, after a change of an option: ``.venv/bin/python -m docs.make_tables``. A test fails
when a page is behind.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from nemo_curator.backends.cluster.ray_specs import RayStageOptions
from nemo_curator.backends.local.executor import LocalOptions
from nemo_curator.backends.ray_actor_pool.executor import ActorPoolOptions
from nemo_curator.backends.ray_data.options import RayDataOptions
from nemo_curator.backends.xenna.options import XennaOptions, XennaStageOptions
from nemo_curator.engine.options import Options, RunOptions

_HOW_TO = Path(__file__).resolve().parent / "how-to"
PAGES: dict[Path, tuple[type[Options], ...]] = {
    _HOW_TO / "local-backend.md": (LocalOptions, RunOptions),
    _HOW_TO / "ray-backends.md": (
        XennaOptions,
        XennaStageOptions,
        RayDataOptions,
        ActorPoolOptions,
        RayStageOptions,
    ),
}
_ATTRIBUTE = re.compile(r"(\w+): (.*)")


def descriptions(options: type[Options]) -> dict[str, str]:
    """Return what the docstrings' sections "Attributes" say about each option, of the class and those that it is made of."""
    found: dict[str, str] = {}
    for kind in reversed(options.__mro__):
        if issubclass(kind, Options):
            found |= _attributes(kind)
    return found


def _attributes(options: type[Options]) -> dict[str, str]:
    section = inspect.getdoc(options).partition("Attributes:\n")[2]  # type: ignore[union-attr]
    found: dict[str, str] = {}
    name = ""
    for line in inspect.cleandoc(section).splitlines():
        if start := _ATTRIBUTE.fullmatch(line):
            name, found[start[1]] = start[1], start[2]
        else:
            found[name] += f" {line.strip()}"
    return found


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def table(options: type[Options]) -> str:
    """Return a Markdown table with a row an option."""
    said = descriptions(options)
    rows = ["| option | default | what it does |", "|---|---|---|"]
    rows += [
        f"| `{field.name}` | `{_default(field)!r}` | {said[field.name].replace('``', '`')} |"
        for field in fields(options)
    ]
    return "\n".join(rows)


def with_tables(page: Path) -> str:
    """Return a page with its tables as they are now."""
    text = page.read_text()
    tables = {options.__name__: table(options) for options in PAGES[page]}
    for name in tables:
        marks = re.compile(f"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        found = marks.findall(text)
        if len(found) != 1:
            message = f"{page.name} has {len(found)} places for the table of {name}, not one"
            raise ValueError(message)
        text = marks.sub(lambda match: f"{match[1]}{tables[match[0].split()[2]]}\n{match[2]}", text)
    return text


def main() -> None:
    """Rewrite the pages."""
    for page in PAGES:
        page.write_text(with_tables(page))


if __name__ == "__main__":
    main()
