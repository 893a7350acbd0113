"""A nightly batch on Complete Journey: users per second for n = 10, and the memory of the whole command.

A shop is made and trained in a scratch folder; then fresh processes do what ``kuapin recommend --users FILE --output
FILE.parquet`` does. The rate leaves out loading the model, which is a figure of its own (``load_s``); ``peak_mb`` and
``command_s`` are of the whole command, from its start to its end.
"""

import json
import tempfile
from pathlib import Path

from benchmarks.harness import Arguments, Figure, interval, parse_arguments, print_table, run_fresh, write_result
from kuapin.pipeline.train import train
from kuapin.workspace import Shop

RATE = """
import json, sys, time
from pathlib import Path
from kuapin import Model, Shop
started = time.perf_counter()
model = Model.load(Shop.open(sys.argv[1]))
said = {"load_s": time.perf_counter() - started, "plain": [], "explained": [], "users": len(model.users)}
for _ in range(int(sys.argv[3])):
    for name in ("plain", "explained"):
        started = time.perf_counter()
        table = model.recommend(model.users.ids, n=10, explain=name == "explained")
        said[name].append(len(model.users) / (time.perf_counter() - started))
said["rows"] = table.height
Path(sys.argv[2]).write_text(json.dumps(said))
"""
COMMAND = "from kuapin.cli.app import main; main()"
OPTIONS = {"--shop": {"type": Path, "metavar": "FOLDER", "help": "a trained shop, instead of making one"}}


def main() -> None:
    """Measure, print, write ``results/batch.json``."""
    arguments = parse_arguments(__doc__, options=OPTIONS)
    seed = (arguments.seeds or (0,))[0]
    with tempfile.TemporaryDirectory() as scratch:
        shop = Shop.open(arguments.extra.shop) if arguments.extra.shop else make_shop(Path(scratch), arguments, seed)
        figures, extra = measure(shop, Path(scratch), rounds=3 if arguments.quick else 9)
    extra["set"] = arguments.folder.name if arguments.folder else "Complete Journey (simulated, says its README)"
    write_result("batch", figures, seeds=[seed], quick=arguments.quick, extra=extra)


def make_shop(scratch: Path, arguments: Arguments, seed: int) -> Shop:
    """A trained shop of the set named, by default of Complete Journey."""
    shop = Shop.init(scratch / "shop")
    settings = (shop.path / "kuapin.toml").read_text(encoding="utf-8")
    (shop.path / "kuapin.toml").write_text(settings.replace("\nseed = 0\n", f"\nseed = {seed}\n", 1), encoding="utf-8")
    if arguments.folder is None:
        shop.import_files(format="complete-journey")
    else:
        shop.import_files(
            items=arguments.folder / "items.parquet", interactions=arguments.folder / "interactions.parquet"
        )
    train(shop, quick=arguments.quick)
    return shop


def measure(shop: Shop, scratch: Path, rounds: int) -> tuple[dict[str, Figure], dict[str, object]]:
    """The figures, and what else is worth keeping."""
    said_path, users, output = scratch / "said.json", scratch / "users.txt", scratch / "out.parquet"
    run_fresh(RATE, str(shop.path), str(said_path), str(rounds))
    said = json.loads(said_path.read_text(encoding="utf-8"))
    ids = shop.dataset().users.ids
    users.write_text("\n".join(ids) + "\n", encoding="utf-8")
    whole = [
        run_fresh(COMMAND, "recommend", str(shop.path), "--users", str(users), "--output", str(output), "--explain")
        for _ in range(3)
    ]
    figures = {
        "users_per_s": interval(said["plain"], "users/s"),
        "users_per_s.explained": interval(said["explained"], "users/s"),
        "peak_mb": Figure(max(one.mb for one in whole), unit="MB"),
        "load_s": Figure(said["load_s"], unit="s"),
        "command_s": interval([one.seconds for one in whole], "s"),
    }
    print_table("Batch", ["users", "rows"], [[f"{said['users']:,}", f"{said['rows']:,}"]])
    return figures, {"users": said["users"], "rows": said["rows"], "per_s": said["plain"]}


if __name__ == "__main__":
    main()
