"""The backend on cosmos-xenna: streaming or in batches, scaled by Xenna's autoscaler, over Ray."""

from nemo_curator.backends.xenna.executor import XennaExecutor
from nemo_curator.backends.xenna.options import XennaOptions, XennaStageOptions

__all__ = ["XennaExecutor", "XennaOptions", "XennaStageOptions"]
