"""Random pipelines of stages that the reference interpreter understands."""

from __future__ import annotations

from hypothesis import strategies as st

from nemo_curator.testing.stages import Add, BatchAdd, BatchKeep, Keep, Modelled, Repeat, RepeatLazily

batch_sizes = st.one_of(st.none(), st.integers(1, 9))


def modelled_stages() -> st.SearchStrategy[Modelled]:
    """Any stage with a model."""
    return st.one_of(
        st.builds(Add, st.integers(-3, 9)),
        st.builds(Keep, st.integers(1, 5)),
        st.builds(Repeat, st.integers(0, 5)),
        st.builds(RepeatLazily, st.integers(0, 5)),
        st.builds(BatchAdd, st.integers(-3, 9), batch_sizes),
        st.builds(BatchKeep, st.integers(1, 5), batch_sizes),
    )


def pipelines(max_stages: int = 5) -> st.SearchStrategy[list[Modelled]]:
    """A few of them in a row."""
    return st.lists(modelled_stages(), min_size=1, max_size=max_stages)
