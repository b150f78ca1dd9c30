"""Entry point: python -m pressel_train COMMAND. See README.md for the whole sequence."""

import argparse
import json
import os
import time
import tomllib
from pathlib import Path

from .shares import run_and_share

HERE = Path(__file__).resolve().parent.parent


def _config(path):
    return tomllib.loads(Path(path).read_text(encoding="utf-8"))


def _grammar(args):
    from .grammar import Grammar, read_phrases

    return Grammar(args.grammar, read_phrases(args.phrases) if args.phrases else ())


def command_recordings(args):
    from .recordings import import_recordings

    print(import_recordings(args.recordings, Path(args.work) / "pools", _grammar(args)))


def command_render(args):
    from . import render

    out = Path(args.work) / "pools" / args.name
    kind, _, part = args.name.partition("_")
    side = part if part in ("test", "choose") else "train"
    what = (out, side, args.count, args.seed, _grammar(args))
    if args.core and kind != "natural":
        raise SystemExit("--core is for natural_… only")
    if kind == "natural":
        render.render_natural(*what, args.natural, args.core)
    elif kind == "talk":
        render.render_natural(*what, args.natural, talk=True)
    elif kind == "espeak":
        render.render_espeak(*what)
    elif kind == "flite":
        render.render_flite(*what)
    elif kind == "other":
        render.render_other(*what)
    else:
        raise SystemExit("the name of a pool: natural_…, espeak_…, flite_…, other_… or talk_…")


def command_train(args):
    from .training import Trainer
    from .warm import mean_of_runs, read_start

    run, pools = Path(args.work) / args.run, Path(args.work) / "pools"
    start = read_start(args.start, args.tokenizer) if args.start else None
    if args.mean:
        start = mean_of_runs(args.work, dict(args.mean))
    trainer = Trainer(
        _config(args.config), pools, run, args.minutes, _grammar(args), start, args.rate
    )
    print(trainer.run(args.steps, args.processes))


def command_mean(args):
    from .warm import write_mean

    print(write_mean(args.work, dict(args.of), Path(args.work) / args.run))


def command_export(args):
    from .export import export

    run = Path(args.work) / args.run
    weights, tokenizer = run / args.weights, run / "tokenizer.json"
    print(export(_config(args.config), weights, tokenizer, args.out, run / "export"))


def command_evaluate(args):
    from .evaluate import evaluate

    run = Path(args.work) / args.run
    scores = evaluate(args.model, Path(args.work) / "pools", args.windows, args.noise_db)
    scores["seconds"] = round(time.process_time(), 1)
    name = "scores-fp32.json" if Path(args.model).name == "fp32" else "scores.json"
    if run.exists():
        (run / name).write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(scores, indent=1))


def command_appliance(args):
    from .appliance import judge

    scores = judge(args.program, Path(args.work) / "pools", args.model, args.noise_db)
    print(json.dumps(scores, indent=1))


def command_closed(args):
    from .closed import judge

    print(json.dumps(judge(args.program, args.model, args.recordings), indent=1))


def command_marked(args):
    from .marked import write_marked

    count = write_marked(Path(args.work) / "pools", args.out)
    print(f"{count} recordings with marked speech: pressel evaluate vad --manifest "
          f"{Path(args.out) / 'list.csv'}")


def command_card(args):
    from .card import write_card

    out = Path(args.out)
    write_card(
        Path(args.work), args.run, _config(args.config), out, _grammar(args), args.recordings,
        args.remark,
    )


def command_demo(args):
    from .demo import check_demo, write_demo

    if args.check:
        wrong = check_demo(args.out, args.model)
        print(f"{len(wrong)} clips misheard", *wrong, sep="\n")
        raise SystemExit(1 if wrong else 0)
    print(*write_demo(args.out, args.natural, args.model), sep="\n")


def command_shape(args):
    from .shape import write_shape

    print(write_shape(args.of, args.out))


def command_own(args):
    from .own import Own, Sizes

    out = Path(args.out)
    own = Own(args.phrases, Path(args.work) / f"own-{out.name}", out, args.natural,
              args.recordings)
    own.make(_config(args.config), args.minutes, args.processes, Sizes())


def command_checkpoint(args):
    import torch

    from .warm import write_checkpoint

    write_checkpoint(torch.load(Path(args.work) / args.run / args.weights), args.out)


def command_smoke(args):
    from .smoke import smoke

    smoke(_config(args.config))


def _parser():
    parser = argparse.ArgumentParser(prog="pressel_train", description=__doc__)
    parser.add_argument("--work", default="work", help="folder for pools, runs and exports")
    parser.add_argument("--config", default=HERE / "nano.toml")
    parser.add_argument("--grammar", default=HERE / "grammar.toml", help="vocabulary and sentences")
    parser.add_argument("--phrases", help="a file of phrases of your own, one a line")
    commands = parser.add_subparsers(required=True)

    def add(name, function, text):
        command = commands.add_parser(name, help=text)
        command.set_defaults(function=function)
        return command

    one = add("recordings", command_recordings, "bring recordings of people into pools (optional)")
    one.add_argument("--recordings", required=True, help="folder with manifest.csv")
    one = add("render", command_render, "render one pool of commands")
    one.add_argument("name", help="for example espeak_1, flite_test, natural_2")
    one.add_argument("--count", type=int, required=True)
    one.add_argument("--seed", type=int, required=True)
    one.add_argument("--natural", help="folder of the natural voices")
    one.add_argument("--core", action="store_true", help="natural_…: core words and digits only")
    one = add("train", command_train, "train, or go on training")
    one.add_argument("--minutes", type=float, required=True)
    one.add_argument("--run", default="run1")
    one.add_argument("--steps", type=int, help="stop after so many steps")
    one.add_argument("--processes", type=int, default=os.cpu_count(), help="one core each")
    begin = one.add_mutually_exclusive_group()
    begin.add_argument("--start", help="a model folder or a checkpoint to start from")
    one.add_argument("--tokenizer", help="tokenizer.json of that checkpoint, if not beside it")
    begin.add_argument("--mean", nargs="+", type=run_and_share, metavar="RUN=SHARE",
                       help="start from the mean of these runs instead, e.g. run3=0.3 run4=0.7")
    one.add_argument("--rate", type=float, help="highest learning rate, instead of peak_rate")
    one = add("mean", command_mean, "a run that is the mean of others, better than each")
    one.add_argument("--of", nargs="+", type=run_and_share, metavar="RUN=SHARE", required=True,
                     help="for example run3=0.3 run4=0.7; RUN/last for its last weights")
    one.add_argument("--run", required=True, help="the new run")
    one = add("export", command_export, "write the model folder")
    one.add_argument("--run", default="run1")
    one.add_argument("--weights", default="best.pt")
    one.add_argument("--out", required=True)
    one = add("evaluate", command_evaluate, "judge an exported folder")
    one.add_argument("--run", default="run1")
    one.add_argument("--model", required=True)
    one.add_argument("--windows", type=float, nargs="*", default=[], help="seconds")
    one.add_argument("--noise-db", type=float, help="once more with noise, so far below the speech")
    one = add("appliance", command_appliance, "judge a model through the program itself")
    one.add_argument("--program", required=True, help="the pressel program")
    one.add_argument("--model", help="folder of the model; the built-in one if left away")
    one.add_argument("--noise-db", type=float, help="once more with noise, so far below the speech")
    one = add("closed", command_closed, "measure thresholds through `pressel replay`")
    one.add_argument("--program", required=True, help="the pressel program")
    one.add_argument("--model", required=True, help="folder of the model")
    one.add_argument("--recordings", required=True, help="folder with manifest.csv")
    one = add("marked", command_marked, "recordings with marked speech for `pressel evaluate vad`")
    one.add_argument("--out", required=True)
    one = add("card", command_card, "write CARD.md, card.json and LICENSES.md")
    one.add_argument("--remark", default="", help="what the run does not know, for the card")
    one.add_argument("--run", default="run1")
    one.add_argument("--recordings", help="folder with manifest.csv")
    one.add_argument("--out", required=True)
    one = add("make-your-own", command_own, "a model that knows your phrases, in one command")
    one.add_argument("--phrases", required=True, help="text file, one phrase a line")
    one.add_argument("--out", required=True, help="folder of the new model")
    one.add_argument("--minutes", type=float, default=30)
    one.add_argument("--processes", type=int, default=os.cpu_count(), help="one core each")
    one.add_argument("--natural", help="folder of the natural voices")
    one.add_argument("--recordings", help="folder with manifest.csv: people saying the phrases")
    one = add("checkpoint", command_checkpoint, "keep the weights of a run, to start from")
    one.add_argument("--run", default="run1")
    one.add_argument("--weights", default="best.pt")
    one.add_argument("--out", required=True)
    one = add("shape", command_shape, "write a model of a stock shape with random weights")
    one.add_argument("--of", default="tiny.en", help="tiny.en or base.en")
    one.add_argument("--out", required=True)
    one = add("demo", command_demo, "render the demo clips, or check them")
    one.add_argument("--natural", help="folder of the natural voices")
    one.add_argument("--model", required=True)
    one.add_argument("--out", required=True)
    one.add_argument("--check", action="store_true")
    add("smoke", command_smoke, "train for seconds on a few clips and check the export")
    from .wake.commands import add_commands

    add_commands(commands.add_parser("wake", help="wake words: the same steps for phrases"))
    return parser


if __name__ == "__main__":
    arguments = _parser().parse_args()
    try:
        arguments.function(arguments)
    except KeyboardInterrupt:
        raise SystemExit("stopped; the same command goes on from the last state") from None
