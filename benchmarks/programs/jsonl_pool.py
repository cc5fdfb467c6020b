"""What a good engineer writes by hand: ``jsonl_pool PARSER WORKERS INPUT OUTPUT``; PARSER is ``json`` or ``orjson``.

A pool of processes takes file after file; each file is read, judged and written line by line, so nothing large stands in
memory, and appears under its final name when it is complete.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.programs.documents import SCORE_FIELD, failed_rules, is_kept

Loads = Callable[[bytes], dict[str, Any]]
Dumps = Callable[[dict[str, Any]], bytes]


def codec(parser: str) -> tuple[Loads, Dumps]:
    """Return the functions that read and write a line."""
    if parser == "orjson":
        import orjson  # in the environment that this contestant brings

        return orjson.loads, partial(orjson.dumps, option=orjson.OPT_APPEND_NEWLINE)
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    return json.loads, lambda record: (encode(record) + "\n").encode()


def filter_file(source: Path, folder: Path, parser: str) -> tuple[int, int]:
    """Filter one file; return how many documents came and how many stayed."""
    loads, dumps = codec(parser)
    read = kept = 0
    aside = folder / f".{source.name}.part"
    with source.open("rb") as lines, aside.open("wb") as out:
        for line in lines:
            read += 1
            record = loads(line)
            score = failed_rules(record["text"])
            if is_kept(score):
                kept += 1
                record[SCORE_FIELD] = score
                out.write(dumps(record))
    os.replace(aside, folder / source.name)
    return read, kept


def main(parser: str, workers: str, source: str, target: str) -> None:
    """Filter a folder."""
    folder = Path(target)
    folder.mkdir(parents=True, exist_ok=True)
    work = partial(filter_file, folder=folder, parser=parser)
    with multiprocessing.Pool(int(workers)) as pool:
        counts = list(pool.imap_unordered(work, sorted(Path(source).glob("*.jsonl"))))
        pool.close()
        pool.join()
    print(json.dumps({"read": sum(read for read, _ in counts), "kept": sum(kept for _, kept in counts)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
