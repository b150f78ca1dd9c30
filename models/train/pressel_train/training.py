"""Trains the network until a moment on the clock, and can be stopped and started at any time.

In: a folder of pools, nano.toml. Out: `state.pt` (everything needed to go on), `best.pt` (the
averaged weights that did best on the choosing speakers), `log.jsonl`.
The learning rate falls with measured time, so that a busy machine does not upset the schedule.
"""

import json
import math
import multiprocessing
import os
import time
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy, ctc_loss

from . import together
from .batches import Batches
from .examples import UNKNOWN
from .network import Network, whisper_config
from .scoring import score_pool
from .tokens import Tokens, extend_tokenizer, train_tokenizer
from .warm import carry_over


def losses(network, batch, smoothing):
    """Frame, CTC and decoder loss of a batch, and the share of frames heard right."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = network.encode(batch["mel"])
        sounds = network.sounds(states)
        logits = network.decode(batch["inputs"], states)
    sounds, logits = sounds.float(), logits.float()
    labels = batch["labels"]
    frame = cross_entropy(sounds.flatten(0, 1), labels.flatten(), ignore_index=UNKNOWN)
    known = labels != UNKNOWN
    right = (sounds.argmax(-1)[known] == labels[known]).float().mean()
    text = cross_entropy(
        logits.flatten(0, 1), batch["targets"].flatten(), ignore_index=UNKNOWN,
        label_smoothing=smoothing,
    )
    counts = batch["phone_counts"]
    spoken = counts > 0
    ctc = torch.full((), torch.nan)
    if spoken.any():
        scores = sounds[spoken].log_softmax(-1).transpose(0, 1)
        lengths = torch.full((int(spoken.sum()),), scores.shape[0])
        ctc = ctc_loss(scores, batch["phones"], lengths, counts[spoken], zero_infinity=True)
    return frame, ctc, text, right


class Average:
    """An exponential average of the weights, younger at the beginning."""

    def __init__(self, network, decay):
        self.decay, self.count = decay, 0
        self.weights = {k: v.clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network):
        self.count += 1
        keep = min(self.decay, (1 + self.count) / (20 + self.count))
        for name, value in network.state_dict().items():
            self.weights[name].lerp_(value, 1 - keep)


class Trainer:
    """One training run in one folder; `start` is a model to start from, if any.

    `rate` is the highest learning rate, if not that of the configuration.
    """

    def __init__(self, config, pools, folder, minutes, grammar, start=None, rate=None):
        self.config, self.pools, self.folder = config, pools, Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        tokenizer = self.folder / "tokenizer.json"
        if not tokenizer.exists() and start is not None:
            extend_tokenizer(start.tokenizer, tokenizer, grammar.vocabulary())
        elif not tokenizer.exists():
            train_tokenizer(config["network"]["bpe_tokens"], tokenizer, grammar)
        self.tokens = Tokens(tokenizer)
        torch.manual_seed(config["seed"])
        self.network = Network(whisper_config(config["network"], self.tokens))
        self.schedule = dict(config["warm" if start is not None else "schedule"])
        if rate is not None:
            self.schedule["peak_rate"] = rate
        if start is not None and start.whole:
            self.schedule["fresh_steps"] = 0
        self.fresh = [*self.network.sounds.parameters(),
                      self.network.whisper.model.decoder.embed_tokens.weight]
        if start is not None:
            carry_over(self.network, self.tokens, start)
        self.optimizer = self._optimizer()
        self.average = Average(self.network, self.schedule["ema_decay"])
        self.seconds_planned = minutes * 60
        self.group = together.Group(0, 1)
        self.facts = {"steps": 0, "clips": 0, "seconds": 0.0, "best": -1.0, "starts": 0,
                      "start": start.name if start is not None else None,
                      "rate": self.schedule["peak_rate"], "mix": config["mix"]}
        if (self.folder / "state.pt").exists():
            self._load()
        self.facts["starts"] += 1

    def _optimizer(self):
        matrices = [p for p in self.network.parameters() if p.requires_grad and p.dim() >= 2]
        vectors = [p for p in self.network.parameters() if p.requires_grad and p.dim() < 2]
        groups = [
            {"params": matrices, "weight_decay": self.schedule["weight_decay"]},
            {"params": vectors, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.98), fused=True)

    def _load(self):
        state = torch.load(self.folder / "state.pt", weights_only=False)
        if "optimizer" not in state:
            raise SystemExit(f"{self.folder} is a mean: train a new run from it, with --mean")
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.weights, self.average.count = state["average"], state["average_count"]
        self.facts = {**self.facts, **state["facts"]}

    def save(self):
        """Writes the state beside the old one, then puts it in its place."""
        state = {
            "network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(),
            "average": self.average.weights, "average_count": self.average.count,
            "facts": self.facts,
        }
        _replace(self.folder / "state.pt", lambda path: torch.save(state, path))

    def progress(self):
        """Share of the planned time that is used up, over all starts."""
        return min(1.0, self.facts["seconds"] / self.seconds_planned)

    def rate(self):
        """Warm-up, a plateau, then down to nothing with the last 60 % of the time."""
        steps = self.facts["steps"] - self.schedule.get("fresh_steps", 0)
        warm = min(1.0, (steps + 1) / self.schedule["warmup_steps"]) if steps >= 0 else 1.0
        left = (1 - self.progress()) / (1 - self.schedule.get("plateau", 0.4))
        fall = 1.0 if left >= 1 else 0.5 - 0.5 * math.cos(math.pi * left)
        return self.schedule["peak_rate"] * warm * max(fall, 0.005)

    def run(self, steps_max=None, processes=1):
        """Trains until the time is used up (or for a number of steps); returns the facts."""
        return together.start(processes, lambda group: self._run(group, steps_max))

    def _run(self, group, steps_max):
        self.group = group
        try:
            return self._loop(group, math.inf if steps_max is None else steps_max)
        except KeyboardInterrupt:
            if group.first:
                self.save()
            raise

    def _loop(self, group, steps_max):
        hardness = multiprocessing.Value("d", 0.0)
        stream = Batches(self.pools, self.folder / "tokenizer.json", self.config, hardness,
                         [self.facts["starts"], group.rank])
        loader = iter(torch.utils.data.DataLoader(
            stream, batch_size=None, num_workers=1, prefetch_factor=6
        ))
        before = saved = chosen = printed = time.monotonic()
        sums = []
        while self.progress() < 1.0 and self.facts["steps"] < steps_max:
            hardness.value = min(1.0, self.progress() / self.schedule.get("hard_after", 0.35))
            batch = next(loader)
            now = time.monotonic()
            self.facts["seconds"] += now - before
            before = now
            sums.append(self.step(batch))
            if not group.first:
                continue
            if now - printed > 20:
                self._print(torch.stack(sums).nanmean(0))
                sums, printed = [], now
            if now - saved > self.schedule["save_every_s"]:
                self.save()
                saved = now
            if now - chosen > self.schedule["choose_every_s"]:
                self.choose()
                chosen = time.monotonic()
        if group.first:
            self.save()
            self.choose()
        return self.facts

    def step(self, batch):
        """One update; returns the losses, NaN where a batch holds nothing to measure."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        frame, ctc, text, right = losses(self.network, batch, self.schedule["label_smoothing"])
        weights = self._loss_weights()
        known = torch.nan_to_num(torch.stack([frame, ctc, text]))
        loss = (torch.tensor(weights) * known).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.facts["steps"] < self.schedule.get("fresh_steps", 0):
            keep = set(map(id, self.fresh))
            for parameter in self.network.parameters():
                if id(parameter) not in keep:
                    parameter.grad = None
        self.facts["seconds"] = self.group.share(self.network.parameters(), self.facts["seconds"])
        norm = torch.nn.utils.clip_grad_norm_(
            self.network.parameters(), self.schedule["gradient_norm"]
        )
        if torch.isfinite(norm):
            self.optimizer.step()
            self.average.update(self.network)
        self.facts["steps"] += 1
        self.facts["clips"] += len(batch["mel"]) * self.group.count
        return torch.stack([frame, ctc, text, right]).detach()

    def _loss_weights(self):
        """CTC comes in late, since alone it teaches silence; at the end the text counts most."""
        frame, ctc, text = self.schedule["weights"]
        early = min(1.0, (self.facts["steps"] + 1) / self.schedule["ctc_after_steps"]) ** 2
        fade = 1 - self.schedule["fade"] * self.progress()
        return [frame * fade, ctc * early * fade, text]

    def _print(self, means):
        facts = self.facts
        line = {
            "done": round(self.progress(), 3), "step": facts["steps"],
            "clips": facts["clips"], "s": round(facts["seconds"]),
            "clips_per_s": round(facts["clips"] / max(1, facts["seconds"]), 1),
            "frame": round(float(means[0]), 3), "ctc": round(float(means[1]), 3),
            "text": round(float(means[2]), 3), "heard": round(float(means[3]), 3),
            "rate": round(self.rate(), 6), "clock": time.strftime("%H:%M:%S"),
        }
        self._log(line)

    def _log(self, line):
        text = json.dumps(line)
        print(text, flush=True)
        with open(self.folder / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(text + "\n")

    def choose(self):
        """Scores the averaged weights on the choosing speakers and keeps the best."""
        judge = Network(self.network.whisper.config)
        judge.load_state_dict(self.average.weights)
        judge.eval()
        scores = {}
        for name in self.config.get("choose", {"pools": ["people_choose"]})["pools"]:
            if (Path(self.pools) / name).exists():
                scores[name] = score_pool(judge, self.tokens, Path(self.pools) / name, 120)
        _replace(self.folder / "last.pt", lambda path: torch.save(self.average.weights, path))
        value = sum(s["words_right"] for s in scores.values()) / max(1, len(scores))
        self._log({"choose": scores, "value": round(value, 4), "step": self.facts["steps"]})
        if value >= self.facts["best"]:
            self.facts["best"] = value
            os.replace(self.folder / "last.pt", self.folder / "best.pt")


def _replace(path, write):
    beside = path.with_suffix(".new")
    write(beside)
    os.replace(beside, path)
