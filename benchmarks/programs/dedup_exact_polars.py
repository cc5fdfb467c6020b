"""The same with a lazy frame: ``dedup_exact_polars WORKERS INPUT OUTPUT``. Runs in its own environment; POLARS_MAX_THREADS is set here."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    workers, source, target = sys.argv[1:]
    os.environ["POLARS_MAX_THREADS"] = workers
    import polars as pl

    lines = pl.scan_ndjson(f"{source}/*.jsonl", schema={"id": pl.String, "text": pl.String})
    repeated = lines.filter(pl.col("id").rank("ordinal").over("text") > 1).select("id").collect()
    repeated.write_parquet(Path(target) / "duplicates.parquet")
    print(json.dumps({"duplicates": len(repeated)}))
