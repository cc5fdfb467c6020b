"""`Resources`: what one worker of a stage needs."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Resources"]

_ASSUMED_GPU_GIB = 24.0
_SMALLEST_GPU_SHARE = 0.1


def _memory_of_first_gpu_gib() -> float:
    """Return GiB of GPU 0 as NVML reports it; 24 where there is no NVML to ask."""
    try:
        import pynvml  # pyright: ignore[reportMissingImports]

        pynvml.nvmlInit()
        try:
            return float(pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByIndex(0)).total) / 1024**3
        finally:
            pynvml.nvmlShutdown()
    except Exception:  # no NVML, no driver, no GPU: the documented assumption holds
        return _ASSUMED_GPU_GIB


@dataclass
class Resources:
    """What one worker of a stage needs.

    Attributes:
        cpus: CPU cores; fractions are fine.
        gpu_memory_gb: GPU memory in GiB on one device; turned into a share of it. Not together with `gpus`.
        gpus: GPUs; a fraction shares one device.
        memory_gb: Memory in GiB, 0 if it is not known. Workers whose stages together ask for more than a run may use do not work
            at the same time; a worker that uses more than its stage asks for is ended, and its batch tried in smaller parts.
    """

    cpus: float = 1.0
    gpu_memory_gb: float = 0.0
    gpus: float = 0.0
    memory_gb: float = 0.0

    def __post_init__(self) -> None:
        for name in ("cpus", "gpu_memory_gb", "gpus", "memory_gb"):
            if getattr(self, name) < 0:
                message = f"Resources({name}={getattr(self, name)}) is negative"
                raise ValueError(message)
        if self.gpus > 0 and self.gpu_memory_gb > 0:
            message = "give either gpus or gpu_memory_gb, not both"
            raise ValueError(message)
        if self.gpu_memory_gb > 0:
            share = round(self.gpu_memory_gb / _memory_of_first_gpu_gib(), 1)
            if share > 1:
                message = (
                    f"gpu_memory_gb={self.gpu_memory_gb} is more than one GPU has; "
                    "a stage that needs several GPUs says so with gpus"
                )
                raise ValueError(message)
            self.gpus = max(share, _SMALLEST_GPU_SHARE)

    @property
    def requires_gpu(self) -> bool:
        """Whether a worker needs a GPU or a share of one."""
        return self.gpus > 0 or self.gpu_memory_gb > 0
