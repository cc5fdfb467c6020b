"""Running k-means: in one worker where the vectors fit its memory, else pass by pass, with the files divided among all workers."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from typing import TYPE_CHECKING, Any

from nemo_curator.stages.deduplication.parts import GivenTasksStage, PartFolder, part_tasks
from nemo_curator.stages.deduplication.semantic.fitting import (
    CENTROIDS,
    FitStage,
    ScanStage,
    VectorFiles,
    load_centroids,
)
from nemo_curator.stages.deduplication.semantic.kmeans import KMeans, Scan, check_centroids, fit
from nemo_curator.stages.deduplication.steps_workflow import Steps
from nemo_curator.tasks import FileGroupTask
from nemo_curator.utils.file_listing import METADATA_DIRNAME

if TYPE_CHECKING:
    from nemo_curator.stages.deduplication.semantic.vectors import Matrix

__all__ = ["fitted_centroids"]

_log = logging.getLogger(__name__)

_FIT = "kmeans_fit.json"
# Answers of a pass come back to the driver: so many bytes at most, in so many pieces at least.
_ANSWERS, _FEWEST_PIECES, _MOST_PIECES = 256 << 20, 16, 256


def fitted_centroids(
    steps: Steps, files: VectorFiles, how: KMeans, kept: PartFolder, fit_memory: int, timed: str
) -> Matrix:
    """Return the centroids, and keep them in ``kmeans_centroids.npy``.

    What an earlier run with the same vectors and settings kept is taken as it is, if this one goes on with a checkpoint.

    Args:
        steps: Runs the passes.
        files: The vectors.
        how: The settings.
        kept: The folder for the centroids.
        fit_memory: Up to so many bytes of vectors one worker does it all; else every pass is a pipeline.
        timed: Under which name the result has the seconds.
    """
    import numpy as np

    state = _state(files, how)
    notes = PartFolder.at(kept.path, METADATA_DIRNAME, storage_options=kept.storage_options)
    before = notes.get(_FIT)
    if steps.checkpoint_path is not None and before is not None and json.loads(before).get("state") == state:
        return load_centroids(kept)
    dimensions = files.dimensions()
    if not isinstance(how.init, str):
        check_centroids(how.init, how.n_clusters, dimensions)
    share = 1.0 if files.fraction is None else files.fraction
    if files.folder.rows() * dimensions * 4 * share <= fit_memory:
        stage = FitStage(files, how, dimensions)
        (found,) = steps.run("kmeans_fit", part_tasks(state, 1), stage, of=None, timed=timed, whole=True)
        centroids, iterations = found.data
    else:
        centroids, iterations = fit(lambda scan: _pass(steps, files, scan, dimensions, timed), how)
    _log.info("k-means: %d clusters after %d iterations", len(centroids), iterations)
    content = io.BytesIO()
    np.save(content, centroids, allow_pickle=False)
    kept.put(CENTROIDS, content.getvalue())
    # Last: where it is, the centroids are whole.
    about = {"state": state, "clusters": len(centroids), "iterations": iterations}
    notes.put(_FIT, (json.dumps(about) + "\n").encode())
    return centroids


def _pass(steps: Steps, files: VectorFiles, scan: Scan[Any], dimensions: int, timed: str) -> Any:
    names = files.folder.names()
    pieces = min(
        len(names), _MOST_PIECES, max(_FEWEST_PIECES, _ANSWERS // (8 * max(scan.clusters, 1) * max(dimensions, 1)))
    )
    tasks = [
        FileGroupTask("vectors", [f"{files.folder.path}/{name}" for name in names[at::pieces]]) for at in range(pieces)
    ]
    stage = ScanStage(files, scan, dimensions)
    answers = steps.run(
        "kmeans_pass",
        GivenTasksStage(tasks, storage_options=files.folder.storage_options),
        stage,
        of=None,
        timed=timed,
        whole=True,
    )
    return scan.merged([answer.data for answer in answers])


def _state(files: VectorFiles, how: KMeans) -> str:
    init: Any = (
        how.init
        if isinstance(how.init, str)
        else hashlib.sha256(check_centroids(how.init, how.n_clusters).tobytes()).hexdigest()
    )
    settings = {
        **vars(how),
        "init": init,
        "fraction": files.fraction,
        "seed": files.seed,
        "vectors": files.folder.state(),
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
