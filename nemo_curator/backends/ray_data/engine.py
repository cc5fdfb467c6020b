"""Ray Data under way: a dataset of parcels, read by a thread of the driver."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import Any

from nemo_curator.backends.ray_data.operators import parcels_of
from nemo_curator.engine.parcel import Parcel
from nemo_curator.errors import EngineLost

__all__ = ["DatasetEngine"]

_SINK = 64


class DatasetEngine:
    """Reads a dataset to its end. Its first operator takes what the steward was offered.

    Args:
        ray: The module, connected.
        steward: The run's steward.
        dataset: The dataset; nothing of it has run yet.
    """

    def __init__(self, ray: Any, steward: Any, dataset: Any) -> None:
        self._ray = ray
        self._steward = steward
        self._dataset = dataset
        self._parcels: queue.Queue[Parcel] = queue.Queue(_SINK)
        self._error: BaseException | None = None
        self._over = False
        self._offered: list[Any] = []
        self._thread = threading.Thread(target=self._read, name="curator-ray-data", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for table in self._dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                for parcel in parcels_of(table):
                    self._put(parcel)
                if self._over:
                    return
        except BaseException as error:  # the driver's thread tells it
            self._error = error

    def _put(self, parcel: Parcel) -> None:
        while not self._over:
            with contextlib.suppress(queue.Full):
                self._parcels.put(parcel, timeout=0.1)
                return

    def feed(self, parcel: Parcel | None) -> None:
        """Take a parcel. The dataset does not end with the last one, but with the run: Ray Data's workers would end with it, unasked."""
        if parcel is None:
            return
        self._offered.append(self._steward.offer.remote([parcel]))
        # A steward that is gone is told here; and no more are on their way to it than it has taken.
        if len(self._offered) > _SINK:
            self._ray.get(self._offered.pop(0))

    def wait(self, timeout_s: float) -> list[Parcel]:
        """Return what has come out."""
        parcels: list[Parcel] = []
        with contextlib.suppress(queue.Empty):
            parcels.append(self._parcels.get(timeout=timeout_s or None, block=timeout_s > 0))
            while True:
                parcels.append(self._parcels.get_nowait())
        if not parcels and not self._thread.is_alive() and self._parcels.empty():
            said = (
                "it ended before everything had come back"
                if self._error is None
                else f"{type(self._error).__name__}: {' '.join(str(self._error).split())[:600]}"
            )
            message = f"Ray Data has given up: {said}"
            raise EngineLost(message) from self._error
        return parcels

    def stop(self, timeout_s: float) -> None:
        """Read to the end, which comes soon, as nobody feeds it any more and custodians do nothing; unless Ray Data waits for a lost node."""
        self._over = True
        self._thread.join(timeout_s / 3)
        executor = getattr(self._dataset, "_current_executor", None)
        if self._thread.is_alive() and executor is not None:
            executor.shutdown(force=True)
            self._thread.join(timeout_s)
