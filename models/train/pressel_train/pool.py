"""A folder of clips: `audio.pcm` (16 kHz mono int16) and `clips.jsonl` (one line per clip).

A line holds offset and samples, text, speaker, source, and, when known, `sounds`: the class
indices and their end times in milliseconds. Many may read at once; one writes, appending only.
"""

import json
from pathlib import Path

import numpy as np

PEAK = 0.6


class PoolWriter:
    """Appends clips to a folder."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.audio = open(self.folder / "audio.pcm", "ab")
        self.clips = open(self.folder / "clips.jsonl", "a", encoding="utf-8")
        self.offset = self.audio.tell() // 2

    def add(self, audio, text, speaker, source, sounds=None, **extra):
        """Writes one clip, scaled to a fixed peak; `sounds` is [(class, end_s), ...]."""
        peak = np.abs(audio).max(initial=0)
        assert peak > 0
        data = np.round(audio * (PEAK * 32767 / peak)).astype("<i2")
        line = {
            "offset": self.offset, "samples": len(data), "text": text, "speaker": speaker,
            "source": source, **extra,
        }
        if sounds is not None:
            line["sounds"] = [[int(i), round(float(end) * 1000)] for i, end in sounds]
        self.audio.write(data.tobytes())
        self.clips.write(json.dumps(line, ensure_ascii=False) + "\n")
        self.offset += len(data)

    def flush(self):
        self.audio.flush()
        self.clips.flush()


class Pool:
    """Reads the clips of a folder; audio stays on disk until asked for."""

    def __init__(self, folder):
        folder = Path(folder)
        lines = (folder / "clips.jsonl").read_text(encoding="utf-8").splitlines()
        self.audio = np.memmap(folder / "audio.pcm", dtype="<i2", mode="r")
        self.clips = []
        for line in lines:
            try:
                clip = json.loads(line)
            except json.JSONDecodeError:
                continue  # the last line of a pool that is still being written
            if clip["offset"] + clip["samples"] <= len(self.audio):
                self.clips.append(clip)

    def __len__(self):
        return len(self.clips)

    def samples(self, clip):
        """Returns the audio of a clip as float32 in [-1, 1]."""
        begin = clip["offset"]
        return self.audio[begin : begin + clip["samples"]].astype(np.float32) / 32768
