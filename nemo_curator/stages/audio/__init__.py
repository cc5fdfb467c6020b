"""Audio: manifests, waveforms, speech in them, what is said, and how well. Importing this package imports no audio library."""

from __future__ import annotations
