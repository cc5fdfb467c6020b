"""A slow stage between two fast ones: ``ray_model ENGINE COUNT SETUP_S CALL_S [--cpus CPUS]``.

The fast ones do what those of `ray_tasks` do. The slow one asks for half the CPUs that the others ask for: it stands for a model
that waits for its device.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.programs.busy import busy_of
from benchmarks.programs.ray_engines import executor_of, parser, tell, with_cpus
from benchmarks.programs.ray_stages import Model, Texts, Work
from nemo_curator.pipeline import Pipeline


def main() -> None:
    """Run the pipeline, and read what the slow stage's workers have noted."""
    arguments = parser()
    arguments.add_argument("count", type=int)
    arguments.add_argument("setup_s", type=float)
    arguments.add_argument("call_s", type=float)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="journal-") as folder:
        stages = [
            with_cpus(Texts(given.count), given.cpus),
            with_cpus(Work("fingerprint", "before"), given.cpus),
            Model(folder, given.setup_s, given.call_s, given.cpus / 2),
            with_cpus(Work("fingerprint", "after"), given.cpus),
        ]
        outputs = Pipeline(name="model", stages=stages).run(executor_of(given.engine)) or []
        journals = [path.read_text() for path in sorted(Path(folder).iterdir())]
    tell(tasks=len(outputs), **busy_of(journals))


if __name__ == "__main__":
    main()
