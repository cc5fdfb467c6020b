"""`DocumentModifier`: a change of one document."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

__all__ = ["DocumentModifier"]


class DocumentModifier(ABC):
    """Changes documents, one at a time. `Modify` makes a stage of it.

    A modifier must be picklable, and the same input must give the same output on every worker.

    Attributes:
        _name: Name of the modifier, if it is not to be the name of the class.
    """

    _name: str | None = None

    @property
    def name(self) -> str:
        """Name of the modifier in stage names."""
        return self._name or type(self).__name__

    @abstractmethod
    def modify_document(self, *args: Any, **kwargs: Any) -> Any:
        """Return the changed value: of one input, given as the only argument, or of several, given by column name."""
