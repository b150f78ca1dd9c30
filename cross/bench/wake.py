"""Wake words: our scores against openWakeWord's own Python, clip by clip, and what both cost.

In: the built example `wake`, openWakeWord's files, recordings (any format that libsndfile reads).
Out: one JSON object: the largest difference of the scores, how many clips fire in each, and the CPU
time for a second of audio of openWakeWord's Python, of our chain, and of voice activity with our
network. All in one run, one thread each. Needs `pip install openwakeword==0.6.0 soundfile`.

    cargo build --release -p pressel-models --example wake
    python wake.py --program ../../target/release/examples/wake --models FOLDER \\
        --head alexa_v0.1.onnx --network ../../models/wake/wake.onnx FILE...
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

FRAME = 1280
THRESHOLD = 0.5


def samples_of(path):
    """16 kHz mono int16; other rates are refused: this compares detectors, not resamplers."""
    audio, rate = soundfile.read(path, dtype="int16", always_2d=True)
    if rate != 16000:
        raise SystemExit(f"{path}: {rate} Hz, give recordings of 16 kHz")
    return audio[:, 0]


def python_scores(model, clips):
    """Scores of each clip from a fresh start, and CPU seconds."""
    out, spent = [], 0.0
    for clip in clips:
        model.reset()
        before = time.process_time()
        scores = [
            float(next(iter(model.predict(clip[at : at + FRAME]).values())))
            for at in range(0, len(clip) - FRAME + 1, FRAME)
        ]
        spent += time.process_time() - before
        out.append(scores)
    return out, spent


def our_scores(program, arguments, files):
    """The same from our program: (scores of the first word, CPU seconds)."""
    done = subprocess.run(
        [program, *arguments], input="\n".join(files) + "\n", text=True, check=True,
        stdout=subprocess.PIPE,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [[s[0] for s in line["scores"]] for line in lines], sum(
        line["cpu_ms"] for line in lines
    ) / 1000


def fires(scores):
    return sum(max(one, default=0.0) >= THRESHOLD for one in scores)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--models", required=True, help="folder with openWakeWord's ONNX files")
    parser.add_argument("--head", required=True, help="file in that folder")
    parser.add_argument("--network", help="our own network")
    parser.add_argument("--pad", type=float, default=1.0, help="seconds of silence at both ends")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()

    from openwakeword.model import Model

    folder = Path(args.models)
    model = Model(
        wakeword_models=[str(folder / args.head)], inference_framework="onnx",
        melspec_model_path=str(folder / "melspectrogram.onnx"),
        embedding_model_path=str(folder / "embedding_model.onnx"),
    )
    silence = np.zeros(int(args.pad * 16000), np.int16)
    clips = [np.concatenate([silence, samples_of(path), silence]) for path in args.files]
    seconds = sum(map(len, clips)) / 16000
    with tempfile.TemporaryDirectory() as name:
        files = []
        for number, clip in enumerate(clips):
            files.append(str(Path(name) / f"{number}.raw"))
            clip.astype("<i2").tofile(files[-1])
        theirs, their_cpu = python_scores(model, clips)
        chain = ["chain", str(folder), str(folder / args.head)]
        ours, our_cpu = our_scores(args.program, chain, files)
        result = {
            "clips": len(clips), "seconds": round(seconds, 1),
            "largest_difference": max(
                (abs(a - b) for x, y in zip(theirs, ours) for a, b in zip(x, y)), default=0.0
            ),
            "fire": {"openwakeword": fires(theirs), "ours": fires(ours)},
            "cpu_ms_per_second": {
                "openwakeword": round(1000 * their_cpu / seconds, 2),
                "chain": round(1000 * our_cpu / seconds, 2),
            },
        }
        if args.network:
            for name, before in (("network", []), ("vad_and_network", ["vad"])):
                _, spent = our_scores(args.program, [*before, "network", args.network], files)
                result["cpu_ms_per_second"][name] = round(1000 * spent / seconds, 2)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
