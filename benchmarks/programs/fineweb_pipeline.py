"""FineWeb's rules with our stages: ``fineweb_pipeline WORKERS INPUT OUTPUT``."""

from __future__ import annotations

import json
import sys

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.stages.text.recipes import ApplyRules, fineweb_rules


def main(workers: str, source: str, target: str) -> None:
    """Filter a folder."""
    rules = ApplyRules(fineweb_rules())
    pipeline = Pipeline("fineweb", stages=[JsonlReader(source), rules, JsonlWriter(target)])
    pipeline.run(LocalExecutor(num_workers=int(workers)))
    report = pipeline.last_report
    assert report is not None
    counts = report.stage(rules.name)
    print(json.dumps({"read": counts.items_in, "kept": counts.items_out}))


if __name__ == "__main__":
    main(*sys.argv[1:])
