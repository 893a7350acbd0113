"""Importing Complete Journey's 1.47 million interactions: time and memory of ``kuapin import``, in fresh processes.

``--set FOLDER`` imports ``items.parquet`` and ``interactions.parquet`` of that folder. Nothing is drawn: seeds do not
matter.
"""

import tempfile
from pathlib import Path

from benchmarks.harness import Arguments, Figure, interval, parse_arguments, print_table, run_fresh, write_result
from kuapin import columns as c
from kuapin.workspace import Shop

COMMAND = "from kuapin.cli.app import main; main()"


def main() -> None:
    """Measure, print, write ``results/importing.json``."""
    arguments = parse_arguments(__doc__)
    runs, rows = [], 0
    for _ in range(1 if arguments.quick else 5):
        with tempfile.TemporaryDirectory() as scratch:
            shop = Shop.init(Path(scratch) / "shop")
            runs.append(run_fresh(COMMAND, "import", str(shop.path), "--quiet", *_files(arguments)))
            rows = shop.store.read(c.INTERACTIONS, [c.USER_ID]).height
    figures = {
        "seconds": interval([run.seconds for run in runs], "s"),
        "peak_mb": Figure(max(run.mb for run in runs), unit="MB"),
        "interactions": Figure(rows),
    }
    print_table(
        "Import", ["interactions", "s", "MB"], [[f"{rows:,}", f"{run.seconds:.1f}", f"{run.mb:,.0f}"] for run in runs]
    )
    name = arguments.folder.name if arguments.folder else "Complete Journey (simulated, says its README)"
    write_result("importing", figures, seeds=[0], quick=arguments.quick, extra={"set": name})


def _files(arguments: Arguments) -> list[str]:
    if arguments.folder is None:
        return ["--format", "complete-journey"]
    folder = arguments.folder
    return ["--items", str(folder / "items.parquet"), "--interactions", str(folder / "interactions.parquet")]


if __name__ == "__main__":
    main()
