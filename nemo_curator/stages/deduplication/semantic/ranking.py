"""`RankingStrategy`: which of the members of a cluster come first, and so stay."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from nemo_curator.errors import OptionError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RankingStrategy"]

_STRATEGIES = ("sort", "random")


@dataclass(frozen=True)
class RankingStrategy:
    """In which order the members of a cluster are ranked. Of two that are alike the one that is ranked first stays.

    Attributes:
        metadata_cols: Columns to sort by, the first before the others. Equal ones stay in the order they come in: by id.
        ascending: Smallest first; one for all, or one for each column.
        strategy: ``"sort"``, or ``"random"`` to shuffle.
        random_seed: Of the shuffle.

    Raises:
        OptionError: There are not as many directions as columns, no columns to sort by, or the strategy is unknown.
    """

    metadata_cols: list[str] = field(default_factory=list)
    ascending: bool | list[bool] = True
    strategy: str = "sort"
    random_seed: int = 42

    def __post_init__(self) -> None:
        if self.strategy not in _STRATEGIES:
            message = f"strategy must be 'sort' or 'random', got {self.strategy!r}.{did_you_mean(str(self.strategy), _STRATEGIES)}"
            raise OptionError(message)
        if self.strategy == "sort" and not self.metadata_cols:
            message = "strategy='sort' needs metadata_cols: the columns to sort by"
            raise OptionError(message)
        if isinstance(self.ascending, list) and len(self.ascending) != len(self.metadata_cols):
            message = f"ascending has {len(self.ascending)} values for the {len(self.metadata_cols)} columns of metadata_cols; give one for each"
            raise OptionError(message)

    @classmethod
    def metadata_based(
        cls, metadata_cols: list[str], ascending: bool | list[bool] = True, random_seed: int = 42
    ) -> Self:
        """Return the strategy that sorts by columns."""
        return cls(metadata_cols, ascending, "sort", random_seed)

    @classmethod
    def random(cls, random_seed: int = 42) -> Self:
        """Return the strategy that shuffles."""
        return cls([], True, "random", random_seed)

    def rank_cluster(self, cluster: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a cluster in the order of their ranks, numbered from 0.

        Missing values come last.

        Raises:
            OptionError: A column is missing.
        """
        if self.strategy == "random":
            import numpy as np

            order = np.random.default_rng(self.random_seed).permutation(len(cluster))
            return cluster.iloc[order].reset_index(drop=True)
        missing = [name for name in self.metadata_cols if name not in cluster.columns]
        if missing:
            message = (
                f"cannot rank by {', '.join(missing)}: the cluster has the columns {', '.join(map(str, cluster.columns))}. "
                "Name what is to be ranked by in metadata_fields too"
            )
            raise OptionError(message)
        return cluster.sort_values(self.metadata_cols, ascending=self.ascending, kind="stable").reset_index(drop=True)
