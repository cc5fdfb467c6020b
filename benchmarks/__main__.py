"""``python -m benchmarks [names] [--quick] [--markdown] [--json FILE]``: run benchmarks and print what came out.

Every entry runs our engine and alternatives to it in turns on this machine, and prints the ratio between them. Nothing is
asserted about times; the exit code is 1 if a program failed or if alternatives did not do the same work.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.entries import ENTRIES, ON_MEDIA, ON_RAY, USUAL, load
from benchmarks.harness import CaseResult, Entry, Scale, run_case
from benchmarks.machine import machine_line
from benchmarks.tables import as_json, as_markdown, as_text


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return the exit code."""
    given = _parser().parse_args(arguments)
    machine = machine_line()
    print(f"# {machine}\n" if given.markdown else f"machine: {machine}\nscale: {given.scale}\n", flush=True)
    told: dict[str, Any] = {"machine": machine, "scale": given.scale, "entries": {}}
    healthy = True
    for name in given.names or USUAL:
        entry = load(name, given.scale)
        _print_heading(entry, markdown=given.markdown)
        start = time.perf_counter()
        results = [_run_and_print(case, given) for case in entry.cases]
        conclusions = _conclusions(entry, results)
        print(*(f"- {sentence}" for sentence in conclusions), sep="\n", end="\n\n", flush=True)
        _say(f"({name} took {time.perf_counter() - start:.0f} s)\n")
        told["entries"][name] = {"cases": [as_json(result) for result in results], "conclusions": conclusions}
        if given.json:
            Path(given.json).write_text(json.dumps(told, indent=1) + "\n")
        healthy &= not any(result.failed or result.differences for result in results)
    return 0 if healthy else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("names", nargs="*", choices=[[], *ENTRIES], metavar="name", help=_names())
    parser.add_argument("--repeats", type=int, metavar="N", help="rounds, instead of what the entry says")
    parser.add_argument("--markdown", action="store_true", help="print tables for RESULTS.md; progress goes to stderr")
    parser.add_argument("--json", metavar="FILE", help="write every single run there, after each entry")
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument(
        "--quick", dest="scale", action="store_const", const=Scale.QUICK, help="small sizes: two minutes without Ray"
    )
    scale.add_argument("--tiny", dest="scale", action="store_const", const=Scale.TINY, help="seconds; for tests")
    parser.set_defaults(scale=Scale.FULL)
    return parser


def _names() -> str:
    return f"{', '.join(USUAL)}; and only when named, because they take long: {', '.join(ON_RAY + ON_MEDIA)}"


def _print_heading(entry: Entry, *, markdown: bool) -> None:
    about = entry.about.strip()
    print(
        f"## {entry.name}\n\n{about}\n" if markdown else f"{entry.name}\n{'=' * len(entry.name)}\n{about}\n", flush=True
    )


def _run_and_print(case: Any, given: argparse.Namespace) -> CaseResult:
    result = run_case(case, repeats=given.repeats, say=_say)
    print((as_markdown if given.markdown else as_text)(result), end="\n\n", flush=True)
    return result


def _conclusions(entry: Entry, results: Sequence[CaseResult]) -> list[str]:
    if any(result.failed for result in results):
        return ["no conclusion: a program failed"]
    return list(entry.conclude(results))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
