"""Train a quality classifier on the example corpus, and say how good it is on pages that it has not seen.

    python -m examples.quality_classifier quality.npz

The recipe is that of most web corpora: take text that somebody vouches for as good, take what a crawl mostly brings as bad, and learn
to tell them apart. Here good are paragraphs of prose from the documentation of Electron (``<p>``), and bad is what extraction leaves
between them: code (``<pre>``), list items and headings. Use your own two kinds of text for a classifier of your own.
"""

from __future__ import annotations

import gzip
import html
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from nemo_curator.stages.text.models import LinearModel, train_linear_model

DATA = Path(__file__).parent / "data" / "multilingual_html"
_BLOCK = re.compile(r"<(p|pre|li|h\d)(?: [^>]*)?>(.*?)</\1>", re.DOTALL)

Sample = tuple[str, str]


def samples() -> Iterator[tuple[str, Sample]]:
    """Yield the page, and text and label, of every block of the English pages."""
    for shard in sorted(DATA.glob("part-*.jsonl.gz")):
        with gzip.open(shard, "rt", encoding="utf-8") as lines:
            for record in map(json.loads, lines):
                if not record["id"].startswith("electron-i18n/en-US/"):
                    continue
                for tag, raw in _BLOCK.findall(record["html"]):
                    text = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", raw)).split())
                    if len(text) >= 80 or (tag != "p" and len(text) >= 20):
                        yield record["id"], (text, "high" if tag == "p" else "low")


def split() -> tuple[list[Sample], list[Sample]]:
    """Return what to learn from, and a fifth of the pages to be judged by. A page is in one of them with all its blocks."""
    training: list[Sample] = []
    judging: list[Sample] = []
    for page, sample in samples():
        (judging if crc32(page.encode()) % 5 == 0 else training).append(sample)
    return training, judging


def accuracy(model: LinearModel, judging: list[Sample]) -> float:
    """Return the share of samples whose likeliest label is theirs."""
    best = model.probabilities([text for text, _ in judging]).argmax(axis=1)
    hits = [model.labels[index] == label for index, (_, label) in zip(best, judging, strict=True)]
    return sum(hits) / len(hits)


def main(path: str) -> None:
    """Train, write the model, and print what it is worth."""
    training, judging = split()
    model = train_linear_model([text for text, _ in training], [label for _, label in training], path)
    high = sum(label == "high" for _, label in judging) / len(judging)
    print(
        f"{len(training)} samples to learn from, {len(judging)} to be judged by, {max(high, 1 - high):.1%} of one label"
    )
    print(f"right: {accuracy(model, judging):.1%}")
    print(f"{path}: {Path(path).stat().st_size:,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
