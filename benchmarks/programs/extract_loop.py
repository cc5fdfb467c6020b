"""resiliparse by hand: ``extract_loop INPUT``."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

from resiliparse.extract.html2text import extract_plain_text


def main(source: str) -> None:
    """Count pages and the characters of their texts."""
    pages = characters = 0
    for path in sorted(Path(source).glob("*.jsonl.gz")):
        with gzip.open(path, "rb") as lines:
            for line in lines:
                pages += 1
                characters += len(extract_plain_text(json.loads(line)["html"], main_content=True))
    print(json.dumps({"pages": pages, "characters": characters}))


if __name__ == "__main__":
    main(*sys.argv[1:])
