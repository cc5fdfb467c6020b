"""The same with datasketch, in one process as it is made: ``dedup_fuzzy_datasketch BANDS ROWS INPUT OUTPUT``. Runs in its own environment.

A document is a duplicate if it meets one that was kept. N-grams are of 24 characters, hashed as datasketch does by default.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from datasketch import MinHash, MinHashLSH

_NGRAM = 24

if __name__ == "__main__":
    bands, rows, source, target = sys.argv[1:]
    hashes = int(bands) * int(rows)
    index = MinHashLSH(num_perm=hashes, params=(int(bands), int(rows)))
    removed = []
    number = 0
    for path in sorted(Path(source).glob("*.jsonl")):
        with path.open() as lines:
            for line in lines:
                text = json.loads(line)["text"]
                grams = {text[at : at + _NGRAM].encode() for at in range(max(1, len(text) - _NGRAM + 1))}
                signature = MinHash(num_perm=hashes, seed=42)
                signature.update_batch(list(grams))
                if index.query(signature):
                    removed.append(number)
                else:
                    index.insert(number, signature)
                number += 1
    (Path(target) / "removed.json").write_text(json.dumps(removed))
    print(json.dumps({"duplicates": len(removed)}))
