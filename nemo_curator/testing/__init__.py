"""The public test kit: for stages, for pipelines, and for backends.

`Number` and its stages are small enough to be modelled, `interpret` says what a pipeline of them must give, `Journal` sees what
happened in other processes, and `conformance` holds the cases that every backend passes. Test your own executor with::

    @pytest.mark.parametrize("case", conformance_cases(), ids=str)
    def test_my_backend_conforms(case, tmp_path):
        case.check(BackendUnderTest("mine", MyExecutor, tmp_path))
"""

from nemo_curator.testing.backend import BackendUnderTest, RunResult
from nemo_curator.testing.conformance import Case, conformance_cases
from nemo_curator.testing.journal import Journal
from nemo_curator.testing.reference import interpret
from nemo_curator.testing.tasks import Number, documents, numbers, values

__all__ = [
    "BackendUnderTest",
    "Case",
    "Journal",
    "Number",
    "RunResult",
    "conformance_cases",
    "documents",
    "interpret",
    "numbers",
    "values",
]
