"""Drives sherpa-onnx.

In: the model folder, threads, frames of silence behind the audio (1 is the least it takes; 0: its
default of 1000, 3000: the full window). Out: see talk.py.

    python sherpa_engine.py MODEL THREADS PADDING
"""

import sys

import talk


def load(model, threads, padding):
    import sherpa_onnx
    from importlib.metadata import version

    recogniser = sherpa_onnx.OfflineRecognizer.from_whisper(
        encoder=f"{model}/encoder.onnx", decoder=f"{model}/decoder.onnx",
        tokens=f"{model}/tokens.txt", language="en", task="transcribe",
        num_threads=int(threads), decoding_method="greedy_search",
        tail_paddings=int(padding) or -1)

    def transcribe(samples):
        stream = recogniser.create_stream()
        stream.accept_waveform(16_000, samples)
        recogniser.decode_stream(stream)
        return stream.result.text

    return f"sherpa-onnx {version('sherpa_onnx')}", transcribe


if __name__ == "__main__":
    talk.serve(lambda: load(*sys.argv[1:]))
