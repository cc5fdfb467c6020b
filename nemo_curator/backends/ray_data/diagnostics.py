"""Why a run on Ray Data does not move, for code that asks for diagnostics of Ray's scheduler by name.

Ray itself is never patched. What such a patch would tell is told by a run without one: when nothing has moved for `stall_timeout_s`, a
report says what every stage has done, with the Python stack of every worker.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from enum import StrEnum
from importlib.util import find_spec
from typing import Any

__all__ = [
    "RAY_DATA_DIAGNOSTICS_ENV_VAR",
    "DiagnosticsInstallStatus",
    "execution_resource_fields",
    "format_logfmt_event",
    "install_ray_data_diagnostics",
]

_log = logging.getLogger(__name__)

RAY_DATA_DIAGNOSTICS_ENV_VAR = "NEMO_CURATOR_RAY_DATA_DIAGNOSTICS"
"""The variable that asks for diagnostics: ``1``, ``true``, ``yes`` or ``on``."""

_TRUE = {"1", "true", "yes", "on"}
_RESOURCES = ("cpu", "gpu", "memory", "object_store_memory")
_BARE = re.compile(r'[^\s"=\\]+')


class DiagnosticsInstallStatus(StrEnum):
    """What became of the wish for diagnostics.

    Attributes:
        DISABLED: Nobody asked.
        INSTALLED: Ray was patched. Never the case here.
        ALREADY_INSTALLED: Ray had been patched before. Never the case here.
        NATIVE: They are built in: nothing is installed.
        UNSUPPORTED: There is no Ray Data here to tell about.
    """

    DISABLED = "disabled"
    INSTALLED = "installed"
    ALREADY_INSTALLED = "already_installed"
    NATIVE = "native"
    UNSUPPORTED = "unsupported"


def install_ray_data_diagnostics() -> DiagnosticsInstallStatus:
    """Say what there is in the way of diagnostics. Changes nothing, and imports nothing."""
    if os.environ.get(RAY_DATA_DIAGNOSTICS_ENV_VAR, "").strip().lower() not in _TRUE:
        return DiagnosticsInstallStatus.DISABLED
    # Ray Data is Ray with pyarrow.
    if find_spec("ray") is None or find_spec("pyarrow") is None:
        return DiagnosticsInstallStatus.UNSUPPORTED
    _log.info(
        "a run on Ray Data tells by itself why it does not move, after stall_timeout_s seconds; Ray is not patched"
    )
    return DiagnosticsInstallStatus.NATIVE


def format_logfmt_event(event: str, fields: Mapping[str, Any]) -> str:
    """Return a line of ``key=value`` pairs, the event first; what is not one plain word is quoted as in JSON."""
    return " ".join(f"{_key(key)}={_value(value)}" for key, value in {"event": event, **fields}.items())


def execution_resource_fields(prefix: str, resources: Any) -> dict[str, float]:
    """Return Ray Data's `ExecutionResources` as fields: ``{prefix}_cpu`` and so on; those that it does not say are left out."""
    values = {name: getattr(resources, name, None) for name in _RESOURCES}
    return {f"{prefix}_{name}": value for name, value in values.items() if value is not None}


def _key(name: object) -> str:
    return re.sub(r'[\s"=\\]+', "_", str(name)) or "_"


def _value(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value)
    return text if _BARE.fullmatch(text) and text.isprintable() else json.dumps(text, ensure_ascii=False)
