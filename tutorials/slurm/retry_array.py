"""Print which shards of a Slurm array are not complete, so that only they are submitted again.

All tasks of the array ran with one ``checkpoint_path``. To submit again what is missing:

    python tutorials/slurm/retry_array.py --checkpoint-path "$CHECKPOINT" --format fields --max-array-size 1001 |
    while read -r array OFFSET total minimum; do
        export OFFSET NEMO_CURATOR_SLURM_ARRAY_TOTAL_SHARDS="$total" NEMO_CURATOR_SLURM_ARRAY_MINIMUM_SHARD_INDEX="$minimum"
        sbatch --array="$array" job.sh
    done

with this line in ``job.sh``, as shards may have higher indices than Slurm takes:

    export NEMO_CURATOR_SLURM_ARRAY_SHARD_INDEX=$((SLURM_ARRAY_TASK_ID + ${OFFSET:-0}))
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from nemo_curator.backends.slurm_array import (
    SlurmArrayRetryPlan,
    SlurmArrayRetrySubmission,
    build_slurm_array_retry_submissions,
    find_slurm_array_retries,
    format_slurm_array_indices,
    read_slurm_array_run,
)

FORMATS = """
formats, a line for every submission:
  array   the indices, as sbatch --array takes them, and " offset=N" behind them where N is to be added to have the shards
  fields  four words for `read`: the indices, the offset, the number of all shards, the index of the first shard
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the submissions; return 0, also when there are none, or 1 when the checkpoint says nothing about an array."""
    parser = argparse.ArgumentParser(
        description="Print which shards of a Slurm array are not complete.",
        epilog=FORMATS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--checkpoint-path", required=True, help="the folder that the array's runs were given")
    parser.add_argument("--format", choices=("array", "fields"), default="array", help="see below (default: array)")
    parser.add_argument("--max-array-size", type=int, help="Slurm's MaxArraySize; indices stay below it")
    options = parser.parse_args(arguments)
    path: str = options.checkpoint_path
    try:
        run, plan = read_slurm_array_run(path), find_slurm_array_retries(path)
        submissions = build_slurm_array_retry_submissions(plan, options.max_array_size) if plan is not None else ()
    except (OSError, TypeError, ValueError) as error:
        return _tell(str(error), code=1)
    if run is None:
        return _tell(f"no Slurm array has run with the checkpoint {path}; look at the path", code=1)
    if plan is None:
        return _tell(f"all {run[0]} shards are complete", code=0)
    for submission in submissions:
        sys.stdout.write(_line(submission, plan, options.format) + "\n")
    return 0


def _line(submission: SlurmArrayRetrySubmission, plan: SlurmArrayRetryPlan, form: str) -> str:
    indices, offset = format_slurm_array_indices(submission.array_indices), submission.shard_index_offset
    if form == "fields":
        return f"{indices} {offset} {plan.total_shards} {plan.minimum_shard_index}"
    return f"{indices} offset={offset}" if offset else indices


def _tell(text: str, *, code: int) -> int:
    sys.stderr.write(text + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
