"""Videos into clips: run it with ``python -m examples.video``."""
