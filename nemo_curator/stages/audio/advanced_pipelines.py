"""`AudioDataFilterStage`: the usual way from recordings to good speech, in one stage."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

from nemo_curator.errors import DataError, InputError, OptionError, did_you_mean, require
from nemo_curator.stages.audio.filtering.band import BandFilterStage
from nemo_curator.stages.audio.filtering.dnsmos import DNSMOSFilterStage
from nemo_curator.stages.audio.filtering.mos import SIGMOSFilterStage, UTMOSFilterStage
from nemo_curator.stages.audio.postprocessing.timestamp_mapper import TimestampMapperStage
from nemo_curator.stages.audio.preprocessing.concatenation import SegmentConcatenationStage
from nemo_curator.stages.audio.preprocessing.mono import MonoConversionStage
from nemo_curator.stages.audio.segmentation.speakers import SpeakerSeparationStage
from nemo_curator.stages.audio.segmentation.vad import VADSegmentationStage
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks import AudioTask
from nemo_curator.utils.file_listing import local_path

__all__ = ["AudioDataFilterStage"]

_log = logging.getLogger(__name__)

_Stage = ProcessingStage[Any, Any]
_FILTERS: dict[str, type[Any]] = {
    "band_filter": BandFilterStage,
    "utmos": UTMOSFilterStage,
    "sigmos": SIGMOSFilterStage,
    "dnsmos": DNSMOSFilterStage,
}
_STAGES: dict[str, type[Any]] = {
    "mono_conversion": MonoConversionStage,
    "vad": VADSegmentationStage,
    **_FILTERS,
    "concatenation": SegmentConcatenationStage,
    "speaker_separation": SpeakerSeparationStage,
    "timestamp_mapper": TimestampMapperStage,
}
# Only where a model comes with a package is a section on by itself.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "mono_conversion": {},
    "vad": {"enable": True},
    "band_filter": {"enable": True},
    "utmos": {"enable": False, "mos_threshold": 3.4},
    "sigmos": {"enable": False},
    "dnsmos": {"enable": True, "ovrl_threshold": 2.5},
    "concatenation": {},
    "speaker_separation": {"enable": False},
    "timestamp_mapper": {},
}


class AudioDataFilterStage(CompositeStage[AudioTask, AudioTask]):
    """Reads recordings, finds speech and perhaps speakers, keeps what is good enough, and says where it lies. It becomes, with

    * neither: mono conversion, filters, timestamp mapper;
    * ``vad``: mono conversion, segmentation, filters, mapper;
    * ``speaker_separation``: mono conversion, filters, separation, filters, mapper;
    * both: mono conversion, nested segmentation, filters, concatenation, separation, segmentation, filters, mapper.

    The filters are ``band_filter``, ``utmos``, ``sigmos`` and ``dnsmos``. A section has the arguments of its stage, ``cpus`` and ``gpus``,
    and, where a stage may be left out, ``enable``. By default ``vad``, ``band_filter`` and ``dnsmos`` (2.5) are on; the others need a
    model that you bring.

    Args:
        config_path: A YAML file with sections.
        config: The same as a dictionary; it goes before the file.
        name: Name of the stage.

    Raises:
        InputError: There is no such file.
        OptionError: A value cannot be, or an argument is not known. A section that is not known gives a warning.
    """  # noqa: D415 - a list follows

    def __init__(
        self,
        config_path: str | None = None,
        config: Mapping[str, Mapping[str, Any]] | None = None,
        name: str = "AudioDataFilter",
    ) -> None:
        super().__init__()
        self.name = name
        self.config = copy.deepcopy(_DEFAULTS)
        for source in (_from_file(name, config_path) if config_path else {}, config or {}):
            self._merge(source)
        self.decompose()  # refuses wrong values where the user wrote them

    def _merge(self, sections: Mapping[str, Any]) -> None:
        for section, values in sections.items():
            if section not in self.config:
                hint = did_you_mean(section, self.config)
                _log.warning("stage %r: section %r is not known and is not looked at.%s", self.name, section, hint)
            elif not isinstance(values, Mapping):
                message = f"stage {self.name!r}: section {section!r} must be a mapping, got {values!r}"
                raise OptionError(message)
            else:
                self._check_names(section, cast("Mapping[str, Any]", values))
                self.config[section].update(cast("Mapping[str, Any]", values))

    def _check_names(self, section: str, values: Mapping[str, Any]) -> None:
        known = {field.name for field in fields(_STAGES[section]) if field.init} | {"cpus", "gpus"}
        known |= {"enable"} if "enable" in _DEFAULTS[section] else set()
        for key, value in values.items():
            if key not in known:
                message = f"stage {self.name!r}: section {section!r} has no {key!r}; it has: {', '.join(sorted(known))}.{did_you_mean(key, known)}"
                raise OptionError(message)
            if isinstance(value, float) and not math.isfinite(value):
                message = f"stage {self.name!r}: {section}.{key} must be a finite number, got {value}"
                raise OptionError(message)
        rate = values.get("output_sample_rate", values.get("sample_rate", 1))
        if isinstance(rate, bool) or not isinstance(rate, int) or rate <= 0:
            message = (
                f"stage {self.name!r}: the sample rate of {section!r} must be a positive whole number, got {rate!r}"
            )
            raise OptionError(message)

    def _is_on(self, section: str) -> bool:
        return bool(self.config[section].get("enable", True))

    def _make(self, section: str, suffix: str = "", **more: Any) -> _Stage:
        values = {key: value for key, value in self.config[section].items() if key not in {"enable", "cpus", "gpus"}}
        stage = _STAGES[section](**{**values, **more})
        wanted = {key: self.config[section][key] for key in ("cpus", "gpus") if key in self.config[section]}
        if wanted:
            stage.resources = Resources(**{"cpus": 1.0, **wanted})
        stage.name += suffix
        return stage

    def _filters(self, suffix: str = "") -> list[_Stage]:
        return [self._make(section, suffix) for section in _FILTERS if self._is_on(section)]

    def decompose(self) -> list[_Stage]:
        """Return the stages for what is enabled."""
        vad, speakers = self._is_on("vad"), self._is_on("speaker_separation")
        stages = [self._make("mono_conversion")]
        if vad:
            stages.append(self._make("vad", nested=True) if speakers else self._make("vad"))
        stages += self._filters()
        if speakers:
            stages += [self._make("concatenation")] if vad else []
            stages.append(self._make("speaker_separation"))
            stages += [self._make("vad", "_speaker")] if vad else []
            stages += self._filters("_speaker")
        return [*stages, self._make("timestamp_mapper")]


def _from_file(stage: str, path: str) -> Mapping[str, Any]:
    require("yaml", extra="audio", purpose=f"stage {stage!r}")
    import yaml

    try:
        with open(local_path(path), encoding="utf-8") as handle:
            content = yaml.safe_load(handle)
    except OSError as error:
        message = f"stage {stage!r}: the configuration {path} cannot be read: {error.strerror or error}"
        raise InputError(message) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        message = f"stage {stage!r}: {path} is not YAML: {error}"
        raise DataError(message) from error
    if content is not None and not isinstance(content, Mapping):
        message = f"stage {stage!r}: {path} must hold sections, such as 'vad:', and not {type(content).__name__}"
        raise OptionError(message)
    return cast("Mapping[str, Any]", content or {})
