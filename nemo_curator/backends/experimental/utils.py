"""The older path of what is in `nemo_curator.backends.utils` and `nemo_curator.utils.ray_utils` now."""

from nemo_curator.backends.utils import (
    RayStageSpecKeys,
    execute_setup_on_node,
    get_available_cpu_gpu_resources,
    get_worker_metadata_and_node_id,
)
from nemo_curator.utils.ray_utils import get_head_node_id, is_head_node

__all__ = [
    "RayStageSpecKeys",
    "execute_setup_on_node",
    "get_available_cpu_gpu_resources",
    "get_head_node_id",
    "get_worker_metadata_and_node_id",
    "is_head_node",
]
