"""Many small tasks through a source and three stages: ``ray_tasks ENGINE COUNT WORK [--cpus CPUS]``."""

from __future__ import annotations

from benchmarks.programs.ray_engines import executor_of, parser, tell, with_cpus
from benchmarks.programs.ray_stages import Texts, Work
from benchmarks.programs.work import sum_of
from nemo_curator.pipeline import Pipeline


def main() -> None:
    """Run the pipeline."""
    arguments = parser()
    arguments.add_argument("count", type=int)
    arguments.add_argument("work")
    given = arguments.parse_args()
    stages = [Texts(given.count), *(Work(given.work, f"work_{number}") for number in range(3))]
    pipeline = Pipeline(name="tasks", stages=[with_cpus(stage, given.cpus) for stage in stages])
    outputs = pipeline.run(executor_of(given.engine)) or []
    tell(tasks=len(outputs), content=sum_of(task.data for task in outputs))


if __name__ == "__main__":
    main()
