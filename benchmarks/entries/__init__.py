"""The benchmarks, one module each. A module's docstring says what is measured, why, and against what.

Each has ``cases(scale)``, and may have ``conclude(results)``, which sets the numbers beside the goal.
"""

from __future__ import annotations

from importlib import import_module

from benchmarks.harness import Entry, Scale

__all__ = ["ENTRIES", "ON_MEDIA", "ON_RAY", "USUAL", "load"]

USUAL = (
    "import_time",
    "hello",
    "small_tasks",
    "noop_tasks",
    "jsonl",
    "fineweb_recipe",
    "language_identification",
    "extraction",
    "back_pressure",
    "guards",
    "checkpoints",
    "exact_dedup",
    "fuzzy_dedup",
    "dedup_memory",
)
"""Those that run when none is named."""

ON_RAY = ("ray_small_tasks", "ray_jsonl", "ray_model_stage")
"""Those that bring two environments with Ray, and take an hour or two in full."""

ON_MEDIA = ("image_embed", "video_clips")
"""Those on photographs and films. To encode these takes an hour or more in full."""

ENTRIES = USUAL + ON_RAY + ON_MEDIA


def load(name: str, scale: Scale) -> Entry:
    """Return the benchmark of that name, with the sizes of a scale."""
    module = import_module(f"benchmarks.entries.{name}")
    return Entry(name=name, about=module.__doc__ or "", cases=module.cases(scale), conclude=module.conclude)
