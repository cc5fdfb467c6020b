"""What datatrove's filters keep: ``decide_datatrove INPUT OUTPUT WORDS``. Runs in its own environment.

Reads JSON Lines with ``id`` and ``text``; writes one JSON object: for each rule set the reasons by id, the empty string for what is kept.
The words that datatrove cuts the texts into go to a third file, one JSON list a line, in the order of the texts.
Limits are those of our recipes where datatrove's defaults are others.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.text import split_into_words

RULES: dict[str, Callable[[], list[Any]]] = {
    "gopher_quality": lambda: [GopherQualityFilter()],
    "gopher_repetition": lambda: [GopherRepetitionFilter()],
    "c4": lambda: [C4QualityFilter(split_paragraph=True, min_num_sentences=3, min_words_per_line=5)],
    "c4_lines_first": lambda: [C4QualityFilter(min_num_sentences=3, min_words_per_line=5)],
    "fineweb_quality": lambda: [FineWebQualityFilter(char_duplicates_ratio=0.1)],
    "fineweb": lambda: [
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        C4QualityFilter(filter_no_terminal_punct=False),
        FineWebQualityFilter(char_duplicates_ratio=0.1),
    ],
}


def decide(filters: list[Any], key: str, text: str) -> str:
    """Return why a text is dropped, or nothing."""
    document = Document(text=text, id=key)
    for each in filters:
        answer = each.filter(document)
        if answer is not True:
            return answer[1] if isinstance(answer, tuple) else each.name
    return ""


def main(source: str, target: str, words: str) -> None:
    """Decide on every text."""
    documents = [json.loads(line) for line in Path(source).read_text().splitlines()]
    decisions: dict[str, dict[str, str]] = {}
    for name, make in RULES.items():
        filters = make()
        decisions[name] = {each["id"]: decide(filters, each["id"], each["text"]) for each in documents}
    Path(target).write_text(json.dumps(decisions))
    with Path(words).open("w") as lines:
        lines.writelines(json.dumps(list(split_into_words(each["text"], "eng"))) + "\n" for each in documents)


if __name__ == "__main__":
    main(*sys.argv[1:])
