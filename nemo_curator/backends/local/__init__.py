"""The embedded backend: processes or threads of this machine, or the caller's thread. Needs nothing else."""

from nemo_curator.backends.local.executor import LocalExecutor

__all__ = ["LocalExecutor"]
