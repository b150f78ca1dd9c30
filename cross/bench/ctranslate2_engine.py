"""Drives CTranslate2: as faster-whisper does, or on features of the audio's own length.

In: the model folder, threads, compute type, `stock` or `short`. Out: see talk.py. `stock` is
faster-whisper's own `transcribe`, which pads to 30 s. `short` takes its feature extractor and its
tokenizer, and gives the features of the audio alone to CTranslate2's `generate`.

    python ctranslate2_engine.py MODEL THREADS TYPE WAY
"""

import sys

import talk


def load(model, threads, compute_type, way):
    import ctranslate2
    import numpy as np
    from faster_whisper import WhisperModel
    from importlib.metadata import version

    network = WhisperModel(
        model, device="cpu", compute_type=compute_type, cpu_threads=int(threads), num_workers=1)
    about = f"faster-whisper {version('faster-whisper')}, ctranslate2 {version('ctranslate2')}"
    tokens = network.hf_tokenizer
    prompt = [tokens.token_to_id(f"<|{name}|>") for name in ("startoftranscript", "notimestamps")]

    def stock(samples):
        segments, _ = network.transcribe(
            samples, language="en", beam_size=1, best_of=1, temperature=0.0,
            condition_on_previous_text=False, without_timestamps=True, vad_filter=False)
        return " ".join(segment.text for segment in segments)

    def short(samples):
        features = network.feature_extractor(samples, padding=0)
        frames = -(-len(samples) // 160)
        features = np.ascontiguousarray(features[None, :, :frames], np.float32)
        result = network.model.generate(
            ctranslate2.StorageView.from_array(features), [prompt], beam_size=1, max_length=448,
            return_no_speech_prob=True, return_scores=True)
        return tokens.decode(result[0].sequences_ids[0])

    return about, {"stock": stock, "short": short}[way]


if __name__ == "__main__":
    talk.serve(lambda: load(*sys.argv[1:]))
