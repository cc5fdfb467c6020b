"""Diagnostics of Ray Data that code asks for by name. Ray is never patched."""

from __future__ import annotations

import math
import subprocess
import sys
from types import SimpleNamespace

import pytest

from nemo_curator.backends.ray_data.diagnostics import (
    RAY_DATA_DIAGNOSTICS_ENV_VAR,
    DiagnosticsInstallStatus,
    execution_resource_fields,
    format_logfmt_event,
    install_ray_data_diagnostics,
)


@pytest.mark.parametrize("value", [None, "", "0", "no", "off", "false", "2"])
def test_nobody_asked(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is not None:
        monkeypatch.setenv(RAY_DATA_DIAGNOSTICS_ENV_VAR, value)
    assert install_ray_data_diagnostics() is DiagnosticsInstallStatus.DISABLED


@pytest.mark.parametrize("value", ["1", "true", "YES", " on "])
def test_who_asks_is_told_what_there_is(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(RAY_DATA_DIAGNOSTICS_ENV_VAR, value)
    found = {DiagnosticsInstallStatus.NATIVE, DiagnosticsInstallStatus.UNSUPPORTED}
    assert install_ray_data_diagnostics() in found
    assert install_ray_data_diagnostics() in found


def test_without_ray_there_is_nothing_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RAY_DATA_DIAGNOSTICS_ENV_VAR, "1")
    monkeypatch.setattr(sys, "path", [])
    for name in [name for name in sys.modules if name == "ray" or name.startswith("ray.")]:
        monkeypatch.delitem(sys.modules, name)
    assert install_ray_data_diagnostics() is DiagnosticsInstallStatus.UNSUPPORTED


def test_ray_is_not_even_imported() -> None:
    code = (
        f"import os, sys; os.environ['{RAY_DATA_DIAGNOSTICS_ENV_VAR}'] = '1';"
        "from nemo_curator.backends.ray_data.diagnostics import install_ray_data_diagnostics as ask;"
        "print(ask(), 'ray' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split()[0] in ("native", "unsupported")
    assert result.stdout.split()[1] == "False"


def test_the_words_for_what_became_of_it() -> None:
    words = {"disabled", "installed", "already_installed", "native", "unsupported"}
    assert {str(status) for status in DiagnosticsInstallStatus} == words
    assert RAY_DATA_DIAGNOSTICS_ENV_VAR == "NEMO_CURATOR_RAY_DATA_DIAGNOSTICS"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("two words", '"two words"'),
        ("", '""'),
        ('say "x"', r'"say \"x\""'),
        ("a=b", '"a=b"'),
        ("back\\slash", r'"back\\slash"'),
        ("line\nfeed", r'"line\nfeed"'),
        ("bell\x07", r'"bell\u0007"'),
        ("é", "é"),
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (3, "3"),
        (3.0, "3"),
        (0.25, "0.25"),
        (2.0**40, "1099511627776"),
        (math.inf, "inf"),
        (math.nan, "nan"),
        ([1, 2], '"[1, 2]"'),
    ],
)
def test_values_of_an_event(value: object, text: str) -> None:
    assert format_logfmt_event("moved", {"value": value}) == f"event=moved value={text}"


def test_an_event_is_one_line_of_pairs_in_order() -> None:
    assert format_logfmt_event("a b", {"z": 1, "a": 2, "odd key=": 3}) == 'event="a b" z=1 a=2 odd_key_=3'
    assert format_logfmt_event("x", {}) == "event=x"


def test_resources_become_fields() -> None:
    resources = SimpleNamespace(cpu=1.5, gpu=0.0, memory=None, object_store_memory=2.0**30)
    fields = execution_resource_fields("usage", resources)
    assert fields == {"usage_cpu": 1.5, "usage_gpu": 0.0, "usage_object_store_memory": 2.0**30}
    assert format_logfmt_event("x", fields) == "event=x usage_cpu=1.5 usage_gpu=0 usage_object_store_memory=1073741824"
    assert execution_resource_fields("usage", None) == {}
