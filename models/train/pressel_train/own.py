"""A command model for phrases of a user's own, in one command.

In: a file of phrases, optionally recordings and natural voices. Out: a model folder that knows
the phrases and all that the built-in model knows, with a card that says how well.
Every part is kept in the work folder: the same command goes on where it was stopped.
"""

import importlib.metadata
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import recordings, render
from .export import OnnxRecogniser, export, write_json
from .grammar import Grammar, read_phrases
from .pool import Pool
from .scoring import summarise, transcribe_clips
from .tokens import Tokens
from .training import Trainer
from .warm import read_start

TRAIN = Path(__file__).resolve().parent.parent
BUILT_IN = TRAIN.parent / "builtin" / "nano"
CHECKPOINT = TRAIN / "nano.safetensors"
PACKAGES = ["torch", "transformers", "tokenizers", "onnxruntime", "onnx", "numpy"]


@dataclass
class Sizes:
    """How many clips of each kind are rendered; the last four hold natural voices."""

    espeak: int = 9000
    flite: int = 1500
    other: int = 2500
    judged: int = 200
    choosing: int = 80
    natural: int = 400
    natural_judged: int = 60


def starting_model():
    """The checkpoint of the built-in model, or the built-in model itself."""
    if CHECKPOINT.exists():
        return read_start(CHECKPOINT, BUILT_IN / "tokenizer.json")
    return read_start(BUILT_IN)


@dataclass
class Own:
    """One model in the making; `natural` and `recorded` are folders or None."""

    phrases_file: Path
    work: Path
    out: Path
    natural: str | None = None
    recorded: str | None = None

    def make(self, config, minutes, processes, sizes, steps=None):
        """Does what is left to do; returns the card."""
        phrases = read_phrases(self.phrases_file)
        self._same_phrases(phrases)
        grammar = Grammar(phrases=phrases)
        print(f"1/4 speech for {len(phrases)} phrases, in {self.work / 'pools'}", flush=True)
        self._render(grammar, sizes)
        print(f"2/4 training, {minutes:g} minutes; Ctrl+C stops it, the same command goes on")
        run = self.work / "run"
        trainer = Trainer(config, self.work / "pools", run, minutes, grammar, starting_model())
        facts = trainer.run(steps, processes)
        print(f"3/4 writing {self.out}", flush=True)
        export(config, run / "best.pt", run / "tokenizer.json", self.out, self.work / "export")
        print("4/4 judging it with voices that it never heard", flush=True)
        card = self._card(phrases, config, facts)
        write_json(self.out / "card.json", card)
        for name, score in card["scores"].items():
            print(f"{name}: {score['exact']:.1%} of {score['clips']} phrases right "
                  f"(95 %: {score['exact_low']:.1%} to {score['exact_high']:.1%})")
        print(f"try it: pressel transcribe --model {self.out} CLIP.wav")
        return card

    def _same_phrases(self, phrases):
        """A folder belongs to one list: mixing two would judge neither."""
        self.work.mkdir(parents=True, exist_ok=True)
        kept = self.work / "phrases.txt"
        text = "\n".join(phrases) + "\n"
        if kept.exists() and kept.read_text(encoding="utf-8") != text:
            raise SystemExit(
                f"{self.work} was begun with other phrases: remove it, or choose another --out"
            )
        kept.write_text(text, encoding="utf-8")

    def _render(self, grammar, sizes):
        def pool(name, renderer, side, count, seed, *more):
            folder = self.work / "pools" / name
            done = self.work / "pools" / f"{name}.done"
            if done.exists():
                return
            shutil.rmtree(folder, ignore_errors=True)
            renderer(folder, side, count, seed, grammar, *more)
            done.touch()
            print(f"    {name}: {count} clips", flush=True)

        pool("espeak_1", render.render_espeak, "train", sizes.espeak, 201)
        pool("espeak_choose", render.render_espeak, "choose", sizes.choosing, 202)
        pool("espeak_test", render.render_espeak, "test", sizes.judged, 203)
        pool("flite_1", render.render_flite, "train", sizes.flite, 204)
        pool("flite_test", render.render_flite, "test", sizes.judged, 205)
        pool("other_1", render.render_other, "train", sizes.other, 206)
        if self.natural:
            pool("natural_1", render.render_natural, "train", sizes.natural, 207, self.natural)
            pool("natural_test", render.render_natural, "test", sizes.natural_judged, 208,
                 self.natural)
        done = self.work / "pools" / "recordings.done"
        if self.recorded and not done.exists():
            for folder in self.work.glob("pools/*_*"):
                if folder.name.split("_")[0] in ("people", "reading", "noise"):
                    shutil.rmtree(folder)
            print("   ", recordings.import_recordings(self.recorded, self.work / "pools", grammar))
            done.touch()

    def _card(self, phrases, config, facts):
        recogniser = OnnxRecogniser(self.out)
        tokens, scores = Tokens(self.out / "tokenizer.json"), {}
        for name in ("espeak_test", "flite_test", "natural_test", "people_test"):
            if not (self.work / "pools" / name).exists():
                continue
            pool = Pool(self.work / "pools" / name)
            clips = [c for c in pool.clips if c["text"] in set(phrases)]
            if clips:
                heard = transcribe_clips(recogniser, tokens, pool, clips)
                scores[name] = summarise([c["text"] for c in clips], heard)
        return {
            "name": self.out.name, "phrases": phrases, "scores": scores,
            "training": {**facts, "seed": config["seed"]},
            "versions": {p: importlib.metadata.version(p) for p in PACKAGES},
        }
