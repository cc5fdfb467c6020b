"""Do our recipes decide as datatrove does? ``python -m benchmarks.agreement [--python PATH] [--fixture FILE]``.

The documents are the pages of ``examples/data/multilingual_html``, their text extracted as the demo does. datatrove runs as a program, in
an environment of its own. What is printed: for each rule set how many documents both keep, both drop, and only one of them keeps, and
the reasons of the differences. A fixture holds what datatrove decided for a sample, so that tests can compare without it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.corpus import OUT
from benchmarks.environments import python_with
from nemo_curator.stages.text.recipes import (
    ApplyRules,
    Cleaner,
    FineWebQuality,
    GopherQuality,
    GopherRepetition,
    RuleSet,
    c4_rules,
    fineweb_rules,
)

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT / "examples" / "data" / "multilingual_html"
PROGRAM = "benchmarks.programs.decide_datatrove"
EVERY = 12
"""One document in so many is in the fixture."""


def rule_sets() -> dict[str, list[RuleSet | Cleaner]]:
    """Return ours, by the names that the program for datatrove has for its own."""
    return {
        "gopher_quality": [GopherQuality()],
        "gopher_repetition": [GopherRepetition()],
        "c4": c4_rules(),
        "fineweb_quality": [FineWebQuality()],
        "fineweb": fineweb_rules(),
    }


def documents() -> Iterator[tuple[str, str]]:
    """Yield id and text of every page that has text."""
    from examples.demo import extract_text

    for path in sorted(CORPUS.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                page = json.loads(line)
                if text := extract_text(page["html"]):
                    yield page["id"], text


def ours(texts: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return our reasons, by rule set and id; the empty string for what is kept."""
    stages = {name: ApplyRules(steps) for name, steps in rule_sets().items()}
    return {name: {key: stage.judge(text) for key, text in texts.items()} for name, stage in stages.items()}


def theirs(texts: dict[str, str], python: Path) -> dict[str, dict[str, str]]:
    """Return datatrove's."""
    OUT.mkdir(parents=True, exist_ok=True)
    source, target = OUT / "agreement-texts.jsonl", OUT / "agreement-datatrove.json"
    source.write_text("\n".join(json.dumps({"id": key, "text": text}) for key, text in texts.items()))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([python, "-m", PROGRAM, source, target], check=True, cwd=ROOT, env=environment)
    return json.loads(target.read_text())


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--python", type=Path, help="interpreter of an environment with datatrove; made if none is named"
    )
    parser.add_argument("--fixture", type=Path, help="write what datatrove decided for a sample to this file")
    arguments = parser.parse_args()
    python = arguments.python or python_with("datatrove-text", "datatrove", "orjson", "regex", "nltk", "spacy")
    texts = dict(documents())
    mine, other = ours(texts), theirs(texts, python)
    for name, reasons in mine.items():
        pairs = Counter((not reasons[key], not other[name][key]) for key in texts)
        agree = pairs[True, True] + pairs[False, False]
        print(
            f"{name}: {agree}/{len(texts)} alike ({agree / len(texts):.1%}); both keep {pairs[True, True]}, both drop "
            f"{pairs[False, False]}, only ours keeps {pairs[True, False]}, only datatrove keeps {pairs[False, True]}"
        )
        differing = Counter(
            (reasons[key], other[name][key]) for key in texts if (not reasons[key]) != (not other[name][key])
        )
        for (here, there), count in differing.most_common():
            print(f"    {count:5}  ours: {here or 'keep'}  datatrove: {there or 'keep'}")
    if arguments.fixture:
        sample = sorted(texts)[::EVERY]
        kept = {name: {key: not decisions[key] for key in sample} for name, decisions in other.items()}
        arguments.fixture.write_text(json.dumps(kept, indent=0, sort_keys=True) + "\n")
        print(f"{len(sample)} documents in {arguments.fixture}", file=sys.stderr)


if __name__ == "__main__":
    main()
