"""Trains the network on shards of windows; goes on from its last state.

In: shards, perhaps still being written. Out: `state.pt` in the run's folder, with the running mean
of the weights, which is what is exported. A word must be found within 240 ms of its end, anywhere
else nothing may be found.
"""

import json
import math
import time

import numpy as np
import torch
from torch.nn.functional import softplus

from ..shares import mean_of
from . import network

EARLY, LATE = 2, 6           # steps of 40 ms around the end of a word in which it may be found
DEAF_BEFORE, DEAF_BEHIND = 5, 14
PAST_FRAMES = 160            # with what is in a window as much as the network remembers
HARDEST = 16                 # one of so many, of words times windows, counts several times
CUT_SHARE = 0.2              # windows that end in nothing: where a file is cut no word ends
QUIET_SHARE = 0.22           # windows as from somebody far away
GATED_SHARE = 0.2            # windows without noise, as many microphones and all synthesisers give
MEAN_DECAY = 0.998
SAVE_SECONDS = 60


def _masks(logits, word, end):
    """Each window's own word [n, words]; where it is to be found, where nothing is asked for."""
    words, steps = logits.shape[1:]
    at, end = torch.arange(steps)[None], end[:, None]
    mine = torch.nn.functional.one_hot(word.clamp(min=0), words).bool() & (word >= 0)[:, None]
    found = ((at >= end - EARLY) & (at <= end + LATE))[:, None] & mine[:, :, None]
    doubtful = ((at >= end - DEAF_BEFORE) & (at <= end + DEAF_BEHIND))[:, None] & mine[:, :, None]
    return mine, found, doubtful


def judged(logits, word, end):
    """Of each window: the highest logit of its word in time, and of any word elsewhere."""
    _, found, doubtful = _masks(logits, word, end)
    heard = logits.masked_fill(~found, -1e4).amax((1, 2))
    return heard, logits.masked_fill(doubtful, -1e4).amax((1, 2))


def loss_of(logits, word, end):
    """logits [n, words, steps]; word [n], -1 for none; end [n] in steps."""
    mine, found, doubtful = _masks(logits, word, end)
    best = logits.masked_fill(~found, -1e4).logsumexp(2) - math.log(4)
    positive = (softplus(-best) * mine).sum() / mine.sum().clamp(min=1)
    silent = logits.masked_fill(doubtful, -1e4)
    worst = softplus(silent.amax(2))
    hardest = worst.flatten().topk(max(1, worst.numel() // HARDEST)).values
    negative = worst.mean() * 3 + softplus(silent).mean() * 2 + hardest.mean() * 0.3
    return positive + negative, positive.detach(), worst.mean().detach()


def varied(rng, mel, word, end):
    """Other windows out of the same ones, so that few recorded people are not learnt by heart.

    Faster or slower, a longer or shorter throat, another tone and level, bands and times missing,
    other talk behind, cut off. mel [n, bins, frames], word [n], end [n] in frames; returns
    (mel, end).
    """
    count, bins, frames = mel.shape
    pace = rng.uniform(0.78, 1.22, count) ** (rng.random(count) < 0.8)
    pace = np.maximum(pace, end / (frames - network.STRIDE * (LATE + 1)))  # words stay inside
    times = np.minimum(np.arange(frames) * pace[:, None], frames - 1).round().astype(int)
    throat = rng.uniform(-2, 2, (count, 1)) * np.linspace(0.3, 1.0, bins)
    bands = (np.arange(bins) + throat).round().clip(0, bins - 1).astype(int)
    mel = mel[np.arange(count)[:, None, None], bands[:, :, None], times[:, None, :]]
    tilt = rng.normal(0, 0.05, (count, 1)) * np.linspace(-1, 1, bins)
    level = np.where(rng.random(count) < QUIET_SHARE, rng.uniform(-0.9, 0, count),
                     rng.uniform(-0.15, 0.1, count))  # 0.1 is 4 dB
    mel = mel + (tilt + level[:, None]).astype(np.float32)[:, :, None]
    silent = np.flatnonzero(word < 0)
    for i, one in enumerate(mel):
        if rng.random() < 0.3 and len(silent):
            behind = mel[silent[rng.integers(len(silent))]]
            lower = np.float32(rng.uniform(0.1, 0.6))  # 4 to 24 dB below the loudest
            np.maximum(one, behind + (one.max() - behind.max() - lower), out=one)
        if rng.random() < 0.5:
            low = rng.integers(0, bins - 7)
            one[low : low + rng.integers(1, 8)] = one.mean()
        if rng.random() < 0.3:
            at = rng.integers(0, frames - 12)
            one[:, at : at + rng.integers(1, 9)] = one.min()
        if rng.random() < GATED_SHARE:
            one[one < one.max() - rng.uniform(0.6, 1.3)] = network.SILENCE  # 24 to 52 dB
    end = np.round(end / pace).astype(int)
    for i in np.flatnonzero(rng.random(count) < CUT_SHARE):
        # As recordings are: wake words behind their end, anything else in the middle of a word.
        at = end[i] + rng.integers(0, 40) if word[i] >= 0 else rng.integers(20, frames)
        mel[i, :, at:] = network.SILENCE
    return np.maximum(mel, network.SILENCE), end


def behind_something(rng, mel, word, end):
    """Windows with a past, as in a stream: silence, the window's own noise, or other talk.

    Without it the network would only know words that almost begin what it ever heard.
    """
    count, bins, _ = mel.shape
    lead = np.full((count, bins, PAST_FRAMES), network.SILENCE, np.float32)
    silent = np.flatnonzero(word < 0)
    for one, past in zip(mel, lead):
        pick = rng.random()
        if pick < 0.4:
            quiet = one[:, np.argsort(one.mean(0))[: one.shape[1] // 8]]
            past[:] = quiet[:, rng.integers(quiet.shape[1], size=PAST_FRAMES)]
        elif pick < 0.7 and len(silent):
            past[:] = mel[silent[rng.integers(len(silent))]][:, -PAST_FRAMES:]
    return np.concatenate([lead, mel], 2), end + PAST_FRAMES


def _state(folder, run):
    """What a run left behind that another one begins from."""
    path = folder / run / "state.pt"
    if not path.exists():
        raise SystemExit(f"{run}: {path} is not there: name a run that was trained")
    return torch.load(path, weights_only=False)


def write_mean(folder, shares, run):
    """Writes the mean of the weights of runs, {run: share}, as a run that `export` takes."""
    states = {name: _state(folder, name) for name in shares}
    if len({network.floor_of(state["facts"]) for state in states.values()}) > 1:
        raise SystemExit("these runs have different floors: their mean hears nothing")
    if (folder / run).exists():
        raise SystemExit(f"{folder / run} is there already: give the mean a name of its own")
    weights = mean_of([(states[name]["mean"], share) for name, share in shares.items()])
    (folder / run).mkdir(parents=True)
    facts = {**states[max(shares, key=shares.get)]["facts"], "mean": shares}
    torch.save({"mean": weights, "facts": facts}, folder / run / "state.pt")


class Trainer:
    """One run; with `start` it begins with the weights of another one in the same folder."""

    def __init__(self, config, shards, run, minutes, rate=None, start=None, threads=1):
        torch.set_num_threads(threads)
        torch.manual_seed(config["seed"])
        self.config, self.shards, self.run = config, shards, run
        self.seconds = minutes * 60
        before = None if start is None or (run / "state.pt").exists() else _state(run.parent, start)
        run.mkdir(parents=True, exist_ok=True)
        self.network = network.WakeNetwork(config["network"], len(config["words"]))
        self.mean = network.WakeNetwork(config["network"], len(config["words"]))
        self.mean.load_state_dict(self.network.state_dict())
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-3, weight_decay=1e-2)
        self.facts = {"steps": 0, "windows": 0, "seconds": 0.0, "starts": 0, "before": None,
                      "rate": rate or config["schedule"]["rate"],
                      "log_floor": network.LOG_FLOOR}
        if before:
            self.network.load_state_dict(before["mean"])
            self.mean.load_state_dict(before["mean"])
            self.facts["before"] = {"run": start, **before["facts"]}
        path = run / "state.pt"
        if path.exists():
            state = torch.load(path, weights_only=False)
            if network.floor_of(state["facts"]) != network.LOG_FLOOR:
                raise SystemExit(f"{run} has another floor: --start a new --run from it")
            self.network.load_state_dict(state["network"])
            self.mean.load_state_dict(state["mean"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.facts |= state["facts"]
        self.facts["starts"] += 1

    def save(self):
        part = self.run / "state.part"
        torch.save(
            {
                "network": self.network.state_dict(), "mean": self.mean.state_dict(),
                "optimizer": self.optimizer.state_dict(), "facts": self.facts,
            },
            part,
        )
        part.rename(self.run / "state.pt")

    def rate(self):
        """Rises, then falls to nothing at the end of the time."""
        schedule = self.config["schedule"]
        warm = min(1.0, (self.facts["steps"] + 1) / schedule["warmup_steps"])
        spent = min(1.0, self.facts["seconds"] / self.seconds)
        return self.facts["rate"] * warm * (0.5 + 0.5 * math.cos(math.pi * spent)) + 1e-6

    def step(self, mel, word, end):
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        loss, positive, worst = loss_of(self.network(mel), word, end)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        decay = min(MEAN_DECAY, 1 - 1 / (self.facts["steps"] + 2))
        with torch.no_grad():
            own = self.network.state_dict()
            for name, value in self.mean.state_dict().items():
                if value.dtype.is_floating_point:
                    value.lerp_(own[name], 1 - decay)
                else:
                    value.copy_(own[name])
        self.facts["steps"] += 1
        self.facts["windows"] += len(mel)
        return float(loss.detach()), float(positive), float(worst)

    def run_all(self, steps_max=None):
        """Trains until the time is over; returns the facts."""
        rng = np.random.default_rng(self.config["seed"] + self.facts["steps"])
        batch, losses, saved = self.config["schedule"]["batch"], [], time.monotonic()
        while self.facts["seconds"] < self.seconds:
            there = sorted(self.shards.glob("shard_*.npz"))
            if not there:
                raise SystemExit(f"{self.shards}: no shards; `wake windows` writes them")
            data = np.load(there[rng.integers(len(there))])
            if network.floor_of(data) != network.LOG_FLOOR:
                raise SystemExit(f"{self.shards}: from before the floor changed; remove them")
            order, mels = rng.permutation(len(data["word"])), data["mel"]
            if len(order) < batch:
                raise SystemExit(f"{self.shards}: fewer windows in a shard than in a batch")
            words, ends = data["word"].astype(np.int64), data["end"].astype(np.int64)
            for first in range(0, len(order) - batch + 1, batch):
                start, some = time.process_time(), order[first : first + batch]
                mel, end = varied(rng, mels[some].astype(np.float32), words[some], ends[some])
                mel, end = behind_something(rng, mel, words[some], end)
                losses.append(self.step(
                    torch.from_numpy(mel), torch.from_numpy(words[some]),
                    torch.from_numpy(end // network.STRIDE),
                ))
                self.facts["seconds"] += time.process_time() - start
                if len(losses) % 50 == 0:
                    self.log(losses[-50:])
                if steps_max and self.facts["steps"] >= steps_max:
                    self.save()
                    return self.facts, losses
                if self.facts["seconds"] >= self.seconds:
                    break
            if time.monotonic() - saved > SAVE_SECONDS:
                self.save()
                saved = time.monotonic()
        self.save()
        return self.facts, losses

    def log(self, losses):
        line = dict(zip(("loss", "missed", "false"), np.mean(losses, 0).round(4).tolist()))
        line |= {"steps": self.facts["steps"], "seconds": round(self.facts["seconds"], 1)}
        with open(self.run / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
