"""Drives whisper.cpp through pywhispercpp.

In: the model file, threads, positions of the encoder's window (0: all 1500). Out: see talk.py.
The same program runs the wheel and the build from source: the one that is first in PYTHONPATH.

    python whisper_cpp.py MODEL THREADS POSITIONS FLASH
"""

import sys

import talk


def load(model, threads, positions, flash):
    import _pywhispercpp
    from importlib.metadata import version
    from pywhispercpp.model import Model

    kernels = _pywhispercpp.whisper_print_system_info()
    kernels = kernels.decode() if isinstance(kernels, bytes) else kernels
    network = Model(
        model, redirect_whispercpp_logs_to=None,
        context_params={"use_gpu": False, "flash_attn": flash == "1"}, n_threads=int(threads),
        audio_ctx=int(positions), language="en", no_timestamps=True, single_segment=True,
        no_context=True, temperature=0.0, temperature_inc=0.0, greedy={"best_of": 1},
        suppress_blank=True, print_progress=False, print_realtime=False,
    )

    def transcribe(samples):
        return "".join(segment.text for segment in network.transcribe(samples))

    return f"pywhispercpp {version('pywhispercpp')}; {kernels.strip()}", transcribe


if __name__ == "__main__":
    talk.serve(lambda: load(*sys.argv[1:]))
