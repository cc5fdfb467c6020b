"""fastText by hand: ``langid_loop INPUT``."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import fasttext

from nemo_curator.stages.text.filters.fasttext import default_langid_model


def main(source: str) -> None:
    """Count the documents of every language."""
    model = fasttext.load_model(default_langid_model())
    languages: Counter[str] = Counter()
    for path in sorted(Path(source).glob("*.jsonl")):
        with path.open("rb") as lines:
            for line in lines:
                text = json.loads(line)["text"]
                labels, _ = model.predict(text.replace("\n", " "))
                languages[labels[0]] += 1
    print(json.dumps({"read": languages.total(), "languages": len(languages)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
