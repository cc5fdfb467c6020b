"""Make `docs/images/demo.svg` from a real run of the demo.

Run it from the root of the repository, after a change of what the demo prints: ``.venv/bin/python -m docs.make_pictures``.
"""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

from rich.console import Console

from examples.demo import CORPUS, _show_languages, build_pipeline
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.observe import summary_table

PICTURE = Path(__file__).resolve().parent / "images" / "demo.svg"
WIDTH = 100


def main() -> None:
    """Run the demo and save what it prints."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print("[bold]$ make demo[/bold]\n")
    # The output folder is printed; a relative one says nothing about the machine that made the picture.
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        output = Path("demo_output")
        pipeline = build_pipeline(CORPUS.resolve(), output)
        written = pipeline.run(LocalExecutor()) or []
        report = pipeline.last_report
        assert report is not None
        console.print(summary_table(report, items="documents"))
        console.print(f"\n{len(written)} Parquet files in {output}/ after {report.seconds:.1f} s.")
        _show_languages(console, output)
        os.chdir(PICTURE.parent)
    # A fixed id: the picture of the same numbers is the same file.
    PICTURE.write_text(console.export_svg(title="curator-backends", unique_id="demo"))


if __name__ == "__main__":
    main()
