"""`python -m pressel_train wake COMMAND`: from phrases to a network. See README.md.

Each command reads the same configuration and goes on where it was stopped.
"""

import json
import tomllib
from pathlib import Path

from ..shares import run_and_share

HERE = Path(__file__).resolve().parents[2]
POOLS = ("words", "near", "talk")


def _config(args):
    return tomllib.loads(Path(args.wake_config).read_text(encoding="utf-8"))


def _pools(args):
    return Path(args.work) / "wake" / "pools"


def command_recordings(args):
    from . import clips

    print(clips.import_recordings(_config(args), args.recordings, _pools(args)))


def command_render(args):
    from . import clips

    config, pools, seed = _config(args), _pools(args), _config(args)["seed"]
    renders = (clips.render_words, clips.render_near, clips.render_talk)
    for number, (name, render) in enumerate(zip(POOLS, renders)):
        share = 1.0 if name == "words" else 0.45
        for side, count in (("train", args.count), ("test", max(30, args.count // 10))):
            out = pools / (f"{name}_{side}" if args.part == 1 else f"{name}_{side}_{args.part}")
            if not (out / "clips.jsonl").exists() and (args.part == 1 or side == "train"):
                seed_here = (seed + 1_000 * (args.part - 1)) * 100 + number * 10 + (side == "test")
                render(config, out, side, max(30, int(count * share)), seed_here)
    for number, (side, share) in enumerate((("test", 0.03), ("train", 0.1))):
        out = pools / (f"natural_{side}" if args.part == 1 else f"natural_{side}_{args.part}")
        count, there = max(30, int(args.count * share)), (out / "clips.jsonl").exists()
        if args.natural and not there and (args.part == 1 or side == "train"):
            seed_here = (seed + 1_000 * (args.part - 1)) * 10 + number
            clips.render_natural(config, out, side, count, seed_here, args.natural)


def command_windows(args):
    from . import windows

    folder = _pools(args).parent
    run = folder / args.hard if args.hard else None
    windows.write_shards(_config(args), _pools(args), folder / "shards", args.count, run)


def command_train(args):
    from .training import Trainer

    folder = _pools(args).parent
    run = folder / args.run
    trainer = Trainer(_config(args), folder / "shards", run, args.minutes, args.rate, args.start)
    facts, _ = trainer.run_all()
    print(facts)


def command_mean(args):
    from .training import write_mean

    write_mean(_pools(args).parent, dict(args.of), args.run)


def command_export(args):
    from . import export, report
    from .windows import Windows

    config, folder, out = _config(args), _pools(args), Path(args.out)
    mel = Windows(config, folder, "test", config["seed"]).shard(8)["mel"]
    mel = mel.transpose(1, 0, 2).reshape(mel.shape[1], -1).astype("float32")
    done = export.export(config, folder.parent / args.run, out, mel)
    print(done)
    facts = {k: done[k] for k in ("steps", "windows", "seconds", "starts", "before")}
    facts["mean"] = done.get("mean")
    facts["rate"] = done.get("rate", _config(args)["schedule"]["rate"])
    for word in report.write(config, folder.parent / args.run, folder, out, facts):
        print(json.dumps({k: word[k] for k in ("name", "threshold", "lag_ms")}))


def command_smoke(args):
    from .smoke import smoke

    smoke(_config(args))


def add_commands(parser):
    """Adds `wake` and what is below it."""
    parser.add_argument("--wake-config", default=HERE / "wake.toml")
    commands = parser.add_subparsers(required=True)

    def add(name, function, text):
        command = commands.add_parser(name, help=text)
        command.set_defaults(function=function)
        return command

    one = add("recordings", command_recordings, "bring recordings of people in (optional)")
    one.add_argument("--recordings", required=True, help="folder with manifest.csv")
    one = add("render", command_render, "render words, what is like them, and talk")
    one.add_argument("--count", type=int, default=9000, help="clips of words for training")
    one.add_argument("--natural", help="folder of the natural voices")
    one.add_argument("--part", type=int, default=1, help="from 2 on: more, for training only")
    one = add("windows", command_windows, "make what the network learns from; may run beside train")
    one.add_argument("--count", type=int, default=24, help="shards")
    one.add_argument("--hard", metavar="RUN", help="mostly windows that this run mistakes")
    one = add("train", command_train, "train, or go on training")
    one.add_argument("--minutes", type=float, default=5, help="of one core")
    one.add_argument("--run", default="run1")
    one.add_argument("--start", metavar="RUN", help="a new run begins with the weights of this one")
    one.add_argument("--rate", type=float, help="highest learning rate, instead of the file's")
    one = add("mean", command_mean, "a run that is the mean of others")
    one.add_argument("--of", nargs="+", type=run_and_share, metavar="RUN=SHARE", required=True)
    one.add_argument("--run", required=True, help="the new run")
    one = add("export", command_export, "write NAME.onnx, judge it, write NAME.json and the card")
    one.add_argument("--run", default="run1")
    one.add_argument("--out", required=True, help="for example ../wake/wake.onnx")
    add("smoke", command_smoke, "all of it in seconds: the loss falls, the export is the network")
