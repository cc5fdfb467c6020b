"""The same with a query: ``dedup_exact_duckdb WORKERS INPUT OUTPUT``. Runs in its own environment."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb

QUERY = """
COPY (SELECT id FROM (
    SELECT id, row_number() OVER (PARTITION BY md5(text) ORDER BY id) AS place
    FROM read_json(?, format = 'newline_delimited', columns = {id: 'VARCHAR', text: 'VARCHAR'})
) WHERE place > 1) TO '%s' (FORMAT parquet)
"""

if __name__ == "__main__":
    workers, source, target = sys.argv[1:]
    found = Path(target) / "duplicates.parquet"
    connection = duckdb.connect(config={"threads": int(workers)})
    connection.execute(QUERY % str(found).replace("'", "''"), [f"{source}/*.jsonl"])
    (number,) = connection.execute("SELECT count(*) FROM read_parquet(?)", [str(found)]).fetchone()
    print(json.dumps({"duplicates": number}))
