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
    C4Lines,
    C4Page,
    C4Sentences,
    Cleaner,
    FineWebQuality,
    GopherQuality,
    GopherRepetition,
    RuleSet,
    TextView,
    c4_rules,
    fineweb_rules,
)
from nemo_curator.stages.text.utils.ngrams import top_ngram_characters

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT / "examples" / "data" / "multilingual_html"
PROGRAM = "benchmarks.programs.decide_datatrove"
Decisions = dict[str, dict[str, str]]
EVERY = 12
"""One document in so many is in the fixture."""


def rule_sets() -> dict[str, list[RuleSet | Cleaner]]:
    """Return ours, by the names that the program for datatrove has for its own."""
    return {
        "gopher_quality": [GopherQuality()],
        "gopher_repetition": [GopherRepetition()],
        "c4": c4_rules(),
        # datatrove looks for curly brackets in the lines that are left, the paper in the page.
        "c4_lines_first": [C4Lines(), C4Page(), C4Sentences()],
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


def ours(texts: dict[str, str]) -> Decisions:
    """Return our reasons, by rule set and id; the empty string for what is kept."""
    stages = {name: ApplyRules(steps) for name, steps in rule_sets().items()}
    return {name: {key: stage.judge(text) for key, text in texts.items()} for name, stage in stages.items()}


def ours_with(words: dict[str, list[str]], texts: dict[str, str]) -> Decisions:
    """Return our reasons on words that somebody else has cut, for the rule sets that are about words and change no text."""
    found: Decisions = {}
    for name, steps in rule_sets().items():
        if len(steps) == 1 and isinstance(rules := steps[0], RuleSet):
            found[name] = {
                key: rules.judge(TextView(text, lambda _, key=key: words[key])) for key, text in texts.items()
            }
    return found


def theirs(texts: dict[str, str], python: Path) -> tuple[Decisions, dict[str, list[str]]]:
    """Return datatrove's reasons, and its words by id."""
    OUT.mkdir(parents=True, exist_ok=True)
    files = [OUT / f"agreement-{name}" for name in ("texts.jsonl", "datatrove.json", "words.jsonl")]
    files[0].write_text("\n".join(json.dumps({"id": key, "text": text}) for key, text in texts.items()))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([python, "-m", PROGRAM, *files], check=True, cwd=ROOT, env=environment)
    with files[2].open() as lines:
        words = {key: json.loads(line) for key, line in zip(texts, lines, strict=True)}
    return json.loads(files[1].read_text()), words


def compare(mine: Decisions, other: Decisions) -> None:
    """Print how often the decisions are alike, and the reasons of those that are not."""
    for name, reasons in mine.items():
        total = len(reasons)
        pairs = Counter((not reason, not other[name][key]) for key, reason in reasons.items())
        agree = pairs[True, True] + pairs[False, False]
        print(
            f"{name}: {agree}/{total} alike ({agree / total:.1%}); both keep {pairs[True, True]}, both drop "
            f"{pairs[False, False]}, only ours keeps {pairs[True, False]}, only datatrove keeps {pairs[False, True]}"
        )
        unlike = Counter(
            (reason, other[name][key]) for key, reason in reasons.items() if (not reason) != (not other[name][key])
        )
        for (here, there), count in unlike.most_common():
            print(f"    {count:5}  ours: {here or 'keep'}  datatrove: {there or 'keep'}")


def _occurs_once(reason: str, words: list[str]) -> bool:
    """Say whether datatrove dropped a text for its most frequent n-gram although none occurs twice."""
    kind, _, rest = reason.partition("_")
    return kind == "top" and top_ngram_characters(words, int(rest[0])) == 0


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
    other, words = theirs(texts, python)
    compare(ours(texts), other)
    print("\nThe same with the words that datatrove cuts:")
    compare(ours_with(words, texts), other)
    single = [key for key, reason in other["gopher_repetition"].items() if _occurs_once(reason, words[key])]
    print(f"gopher_repetition: of what datatrove drops, {len(single)} for an n-gram that occurs once")
    if arguments.fixture:
        sample = sorted(texts)[::EVERY]
        kept = {name: [key for key in sample if not decisions[key]] for name, decisions in other.items()}
        content = json.dumps({"documents": sample, "kept": kept}, indent=0, ensure_ascii=False)
        arguments.fixture.write_text(content + "\n")
        print(f"{len(sample)} documents in {arguments.fixture}", file=sys.stderr)


if __name__ == "__main__":
    main()
