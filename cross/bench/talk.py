"""The conversation with `cargo xtask bench peers`: JSON lines on stdin and stdout.

In: {"wav": PATH, "runs": N}, one line each request. Out: first {"about": ..., "load_s": ...,
"before_kib": peak memory before the model was loaded}, then for each request {"seconds": [...],
"text": ...}. A driver that cannot run says {"error": ...} and ends. stdout belongs to this alone:
what libraries print goes to stderr.
"""

import json
import os
import sys
import time
import wave

import numpy as np


def read_wav(path):
    """Samples between -1 and 1, f32, mono 16 kHz."""
    with wave.open(path) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return samples.astype(np.float32) / 32_768


def peak_kib():
    """The most memory that this process ever had, in KiB."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


def serve(load):
    """Calls `load()`, which returns what to say about itself and a function from samples to text;
    then answers requests until stdin ends."""
    out = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    say = lambda message: out.write(json.dumps(message) + "\n")
    before, start = peak_kib(), time.perf_counter()
    try:
        about, transcribe = load()
    except Exception as error:  # whatever it is, the bench says it and goes on
        say({"error": f"{type(error).__name__}: {error}"})
        return
    say({"about": about, "load_s": time.perf_counter() - start, "before_kib": before})
    for line in sys.stdin:
        request = json.loads(line)
        samples, seconds, text = read_wav(request["wav"]), [], ""
        try:
            for _ in range(request["runs"]):
                start = time.perf_counter()
                text = transcribe(samples)
                seconds.append(time.perf_counter() - start)
        except Exception as error:
            say({"error": f"{type(error).__name__}: {error}"})
            return
        say({"seconds": seconds, "text": text.strip()})
