"""FLEURS, read sentences in 102 languages."""

from __future__ import annotations

from nemo_curator.stages.audio.datasets.fleurs.create_initial_manifest import CreateInitialManifestFleursStage

__all__ = ["CreateInitialManifestFleursStage"]
