"""The documentation says what is so: its programs run and print what is shown, its links lead somewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKED = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]

# A program, unless a comment says that it is not to be run; and what it prints, where that is shown.
PROGRAM = re.compile(r"(?P<skip><!-- no-run -->\n+)?^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
OUTPUT = re.compile(r"<!-- output -->\n```text\n(?P<said>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Program:
    where: str
    code: str
    output: str | None


def _programs(page: Path) -> list[Program]:
    text = page.read_text()
    found = list(PROGRAM.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)] * bool(found)
    programs = []
    for match, end in zip(found, ends, strict=True):
        if match["skip"]:
            continue
        shown = OUTPUT.search(text, match.end(), end)
        line = text.count("\n", 0, match.start("code")) + 1
        programs.append(Program(f"{page.relative_to(ROOT)}:{line}", match["code"], shown["said"] if shown else None))
    return programs


PROGRAMS = [program for page in PAGES for program in _programs(page)]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.where)
def test_program_runs_and_prints_what_is_shown(program: Program, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(program.code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(
        [sys.executable, "-W", "error", script.name], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, f"{program.where}\n{result.stderr}"
    if program.output is not None:
        assert result.stdout == program.output


def test_there_are_programs() -> None:
    assert len(PROGRAMS) >= 8


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for link in LINK.findall(text):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


def _tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_tables", ROOT / "docs" / "make_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_of_options_are_up_to_date() -> None:
    tables = _tables()
    for page in tables.PAGES:
        assert page.read_text() == tables.with_tables(page), "run: python -m docs.make_tables"


def test_the_glossary_is_sorted() -> None:
    words = re.findall(r"^\| \*\*(.*?)\*\*", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    assert words == sorted(words)


def test_modules_and_files_that_are_named_exist() -> None:
    missing = []
    for page in PAGES:
        for name in re.findall(
            r"`((?:nemo_curator|engine|backends|tests|testing|stages|docs|examples)/[\w/.]+)`", page.read_text()
        ):
            roots = (ROOT, ROOT / "nemo_curator")
            if "<" not in name and not any((root / name).exists() for root in roots):
                missing.append(f"{page.name}: {name}")
    assert missing == []


def test_functions_and_classes_that_are_named_exist() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "nemo_curator").rglob("*.py"))
    known = set(re.findall(r"(?:def|class) (\w+)", source)) | set(re.findall(r"^    (\w+):", source, re.MULTILINE))
    known |= {path.parent.name for path in (ROOT / "nemo_curator").rglob("*.py")}
    text = "\n".join((ROOT / "docs" / name).read_text() for name in ("architecture.md", "glossary.md"))
    named = re.findall(r"`((?:[A-Z]\w+\.)?\w*[a-z]\w*)(?:\(.*?\))?`", text)
    words = {word for name in named for word in name.split(".") if "_" in word or word[0].isupper()}
    assert words - known - {"nemo_curator", "on_error", "memfd_create"} == set()
