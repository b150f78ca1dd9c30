"""Writes the audio that every engine hears: speech over and over, cut at each length.

In: a folder of WAV files (mono 16 kHz, 16 bits). Out: `N.wav` of N seconds, with a header of 44
bytes. What is said does not matter: the weights say the same whatever they hear.

    python recordings.py SPEECH_FOLDER OUT SECONDS...
"""

import sys
import wave
from pathlib import Path

RATE = 16_000


def main(speech, out, *seconds):
    samples = b""
    for path in sorted(Path(speech).glob("*.wav")):
        with wave.open(str(path)) as file:
            layout = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            assert layout == (1, 2, RATE), f"{path} is not mono 16 kHz of 16 bits"
            samples += file.readframes(file.getnframes())
    for length in map(int, seconds):
        need = 2 * RATE * length
        with wave.open(str(Path(out) / f"{length}.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", None))
            file.writeframes((samples * (need // len(samples) + 1))[:need])


if __name__ == "__main__":
    main(*sys.argv[1:])
