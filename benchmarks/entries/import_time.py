"""How long `import nemo_curator` takes, as whole processes.

Why: tools, tests, notebooks and every worker process pay for it, and in systems of this kind it costs a second or more.
Against: ``python -c pass``, the start of the interpreter alone. Goal: under 0.1 s more than that, and nothing heavy imported.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.harness import Case, CaseResult, Contestant, Scale

__all__ = ["cases", "conclude"]

_HEAVY = ("numpy", "pandas", "pyarrow", "ray", "torch")
_MODULES = ("nemo_curator", "nemo_curator.engine", "nemo_curator.pipeline", "nemo_curator.backends.local")


def cases(scale: Scale) -> tuple[Case, ...]:
    """Return one case: each module in a process of its own."""
    nothing = Contestant(name="pass", command=(sys.executable, "-c", "pass"))
    imports = [
        Contestant(name=f"import {name}", command=(sys.executable, "-c", _import_and_tell(name))) for name in _MODULES
    ]
    repeats = scale.pick(21, 3, 2)
    return (Case(title="Start of a process", contestants=(nothing, *imports), repeats=repeats),)


def _import_and_tell(name: str) -> str:
    heavy = f'", ".join(name for name in {_HEAVY} if name in sys.modules)'
    return f"""import {name}, sys; print('{{"heavy": "%s"}}' % {heavy})"""


def conclude(results: Sequence[CaseResult]) -> list[str]:
    """Say what each import adds, and what it brought along."""
    (result,) = results
    sentences: list[str] = []
    for name in list(result.samples)[1:]:
        added = result.paired(name, result.reference, lambda mine, theirs: (mine.wall - theirs.wall) * 1000)
        heavy = result.samples[name][-1].facts["heavy"] or "none"
        sentences.append(
            f"{name} adds {added.median:.0f} ms ({added.low:.0f}..{added.high:.0f}); goal for nemo_curator: under 100 ms; "
            f"of {', '.join(_HEAVY)} it imports: {heavy}"
        )
    return sentences
