"""The inference server: not part of this package; only the question whether one runs is."""

from __future__ import annotations

__all__ = ["is_inference_server_active"]


def is_inference_server_active() -> bool:
    """Return whether this process has started an inference server: never, as there is none to start."""
    return False
