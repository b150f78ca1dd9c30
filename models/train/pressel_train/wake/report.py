"""Judges a network in full and writes what is known beside it: NAME.json, CARD.md, card.json.

In: run, pools, the exported network. Out: the files, every number out of what was measured. The
threshold of each word is the lowest one at which what was heard in training gives at most one false
accept an hour, within limits, unless the word names its own; the test side then judges it.
"""

import importlib.metadata
import json
import platform

from . import export, judge, network

THRESHOLD_MIN, THRESHOLD_MAX = 0.6, 0.9
PACKAGES = ["torch", "onnx", "onnxruntime", "numpy", "scipy"]


def _words(pools, index):
    return lambda clip: clip.get("word") == index


def thresholds(config, judged, folder):
    """For each word: the threshold that training's talk leaves, and how late it is found.

    The talk is of people; where none was recorded, it is rendered.
    """
    pools = judge.pools_of(folder, "people_talk_train") or judge.pools_of(folder, "talk_train")
    talk, hours = judged.talk(pools)
    refractory_ms, out = config["detector"]["refractory_ms"], []
    for index, word in enumerate(config["words"]):
        grid = [t / 100 for t in range(int(THRESHOLD_MIN * 100), int(THRESHOLD_MAX * 100) + 1, 5)]
        accepts = [judge.false_accepts(talk[index], t, refractory_ms) for t in grid]
        quiet = [t for t, count in zip(grid, accepts) if count <= max(1, hours)]
        threshold = word.get("threshold", quiet[0] if quiet else THRESHOLD_MAX)
        found = []
        for name in ("people_words_train", "words_test"):
            found = found or judged.highest(
                judge.pools_of(folder, name), _words(pools, index), threshold=threshold
            )
        lags = sorted(lag for _, lag in found if lag is not None) or [0.16]
        out.append((threshold, round(max(0.0, lags[len(lags) // 4]) * 1000)))
    return out


def measure(config, judged, folder, chosen):
    """Misses and false accepts of the test side, clean and with noise at 10 dB."""
    refractory_ms, words = config["detector"]["refractory_ms"], config["words"]
    out = []
    for index, word in enumerate(words):
        out.append({"name": word["name"], "threshold": chosen[index][0], "misses": {}})
        for noise, noise_db in (("clean", None), ("10 dB", 10.0)):
            for kind, names, origin in (
                ("people", ["people_words_test"], lambda c: "pcd_" not in c["file"]),
                ("people, other source", ["people_words_test"], lambda c: "pcd_" in c["file"]),
                ("rendered", ["words_test"], lambda c: True),
                ("natural voices", ["natural_test"], lambda c: "word" in c),
            ):
                keep = lambda c, o=origin: c.get("word") == index and o(c)
                found = judged.highest(judge.pools_of(folder, *names), keep, noise_db)
                if not found:
                    continue
                row = judge.misses(found, chosen[index][0])
                if noise_db is None:
                    row["at"] = {str(t): judge.misses(found, t)["share"] for t in judge.THRESHOLDS}
                out[index]["misses"][f"{kind}, {noise}"] = row
    for noise, noise_db in (("clean", None), ("10 dB", 10.0)):
        for kind, names in (
            ("people, test", ["people_talk_test"]),
            ("people, heard in training", ["people_talk_train"]),
            ("rendered talk, test", ["talk_test"]),
            ("rendered alike, test", ["near_test"]),
        ):
            pools = judge.pools_of(folder, *names)
            if not pools or (noise_db is not None and kind != "people, test"):
                continue
            scores, hours = judged.talk(pools, noise_db)
            for index in range(len(words)):
                of = lambda t, i=index: judge.accepts(scores[i], hours, t, refractory_ms)
                row = of(chosen[index][0])
                if noise_db is None:
                    row["at"] = {str(t): of(t)["count"] for t in judge.THRESHOLDS}
                out[index].setdefault("false_accepts", {})[f"{kind}, {noise}"] = row
    return out


def write(config, run, folder, model, facts):
    """Measures and writes everything beside `model`."""
    noises = [p.samples(c) for p in judge.pools_of(folder, "noise_test") for c in p.clips]
    net, _ = export.load(config, run)
    judged = judge.Judge(config, export.build(net, judge.FRAMES).SerializeToString(), noises)
    chosen = thresholds(config, judged, folder)
    measured = measure(config, judged, folder, chosen)
    words = [
        {
            "name": word["name"], "threshold": threshold,
            "smoothing": judge.smoothing_of(config, word),
            "refractory_ms": config["detector"]["refractory_ms"], "lag_ms": lag_ms,
            "measured": {k: row[k] for k in ("misses", "false_accepts") if k in row},
        }
        for word, (threshold, lag_ms), row in zip(config["words"], chosen, measured)
    ]
    beside = {
        "mel_bins": config["network"]["mel_bins"], "log_floor": network.LOG_FLOOR, "words": words,
    }
    text = json.dumps(beside, indent=1) + "\n"
    model.with_suffix(".json").write_text(text, encoding="utf-8")
    card = {
        "network": config["network"], "remark": config["detector"].get("remark", ""),
        "by_rule": [word["name"] for word in config["words"] if "threshold" not in word],
        "bytes": model.stat().st_size, "seed": config["seed"],
        "training": facts, "data": pool_facts(folder), "recordings": origins(folder),
        "versions": {p: importlib.metadata.version(p) for p in PACKAGES},
        "python": platform.python_version(),
    }
    text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    (model.parent / "card.json").write_text(text, encoding="utf-8")
    (model.parent / "CARD.md").write_text(card_text(card, words), encoding="utf-8")
    return words


def pool_facts(folder):
    """Clips, speakers and hours of every pool."""
    out = {}
    for path in sorted(folder.glob("*/clips.jsonl")):
        clips = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        out[path.parent.name] = {
            "clips": len(clips), "speakers": len({c["speaker"] for c in clips}),
            "hours": round(sum(c["samples"] for c in clips) / 16_000 / 3_600, 3),
        }
    return out


def origins(folder):
    """Clips of recordings by set, licence and pool."""
    counts = {}
    for path in sorted(folder.glob("*/clips.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            clip = json.loads(line)
            if "licence" in clip:
                key = (clip["source"], clip["licence"], path.parent.name)
                counts[key] = counts.get(key, 0) + 1
    return [dict(zip(("set", "licence", "pool"), k), clips=n) for k, n in sorted(counts.items())]


def _percent(share):
    return f"{100 * share:.1f} %"


def _mean(training):
    """Which runs the weights are a mean of, if they are; what else is told is of the largest."""
    shares = training.get("mean")
    if not shares:
        return []
    names = ", ".join(f"{share:.0%} {run}" for run, share in shares.items())
    return [f"The weights are the mean of {names}; what is told above is of the largest share.", ""]


def _before(training):
    """What came before, when the run began with the weights of another."""
    before = training.get("before")
    if not before:
        return ""
    minutes = before["seconds"] / 60
    return (f", after {before['steps']:,} steps and {minutes:.1f} minutes of the run it began from"
            + _before(before))


def _rule(names):
    """How the thresholds were chosen that the configuration does not name."""
    if not names:
        return ""
    return (f"The threshold of {', '.join(names)} was chosen on the talk heard in training: at "
            f"most one false accept an hour, {THRESHOLD_MIN:g} at least. ")


def card_text(card, words):
    """The card as a page."""
    training = card["training"]
    lines = [
        "# Wake words: " + ", ".join(f"`{w['name']}`" for w in words), "",
        f"One streaming network, {card['bytes']:,} bytes, one run for every 80 ms of sound; its "
        "large matrices are in int8. Made by `python -m pressel_train wake` "
        "(models/train/wake.toml), "
        f"{training['steps']:,} steps, {training['seconds'] / 60:.1f} minutes of one core, "
        f"seed {card['seed']}, in {training['starts']} start(s){_before(training)}.", "",
        *_mean(training),
        "Nothing of openWakeWord is in it.", "",
        "## How it was judged", "",
        "Test voices, speakers and clips were never trained on. `people` are clips of unnamed "
        "contributors, split by clip, so a speaker of a test clip may have been heard in training; "
        "`people, other source` are another collection (pcd), split by clip as well. "
        + _rule(card["by_rule"]) + "Every clip begins behind 5.5 s of silence. "
        + (card["remark"].strip() + " ").lstrip() +
        "Noise at 10 dB is recorded noise that was not trained on, and white to brown noise.", "",
        "| word | threshold | voices | missed | 95 % |", "|---|---|---|---|---|",
    ]
    for word in words:
        for kind, row in word["measured"]["misses"].items():
            low, high = map(_percent, row["interval"])
            lines.append(
                f"| {word['name']} | {word['threshold']} | {kind} | {row['missed']} of "
                f"{row['clips']} | {low} to {high} |"
            )
    lines += ["", "| word | talk without it | false accepts | hours | per hour, 95 % |",
              "|---|---|---|---|---|"]
    for word in words:
        for kind, row in word["measured"].get("false_accepts", {}).items():
            low, high = row["interval"]
            lines.append(f"| {word['name']} | {kind} | {row['count']} | {row['hours']} | "
                         f"{low} to {high} |")
    lines += ["", "At other thresholds (clean): share missed, and false accepts of the talk of "
              "people on the test side.", "",
              "| word | " + " | ".join(str(t) for t in judge.THRESHOLDS) + " |",
              "|---|" + "---|" * len(judge.THRESHOLDS)]
    for word in words:
        for kind, row in word["measured"]["misses"].items():
            if "at" in row:
                cells = " | ".join(_percent(v) for v in row["at"].values())
                lines.append(f"| {word['name']}, missed: {kind} | {cells} |")
        row = word["measured"].get("false_accepts", {}).get("people, test, clean")
        if row:
            cells = " | ".join(str(v) for v in row["at"].values())
            lines.append(f"| {word['name']}, false accepts | {cells} |")
    lines += ["", "## What it heard", "", "| pool | clips | speakers or voices | hours |",
              "|---|---|---|---|"]
    lines += [f"| {name} | {row['clips']} | {row['speakers']} | {row['hours']} |"
              for name, row in card["data"].items()]
    lines += ["", "Rendered by espeak-ng (GPL-3.0 program) and flite (BSD-like)"
              + (" and Kokoro (Apache-2.0; other voices judge)"
                 if "natural_test" in card["data"] else "")
              + "; recordings:", "",
              "| recordings | licence | pool | clips |", "|---|---|---|---|"]
    lines += [f"| {row['set']} | {row['licence']} | {row['pool']} | {row['clips']} |"
              for row in card["recordings"]]
    return "\n".join(lines) + "\n"
