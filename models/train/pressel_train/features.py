"""Log-mel features exactly as Whisper computes them, with an optional change of vocal tract.

In: [clips, samples] float32 at 16 kHz. Out: [clips, 80, samples / 160] float32.
"""

import numpy as np
import torch

RATE_HZ = 16000
FFT_SAMPLES = 400
HOP_SAMPLES = 160
MEL_BINS = 80


def _slaney_mel(hz):
    hz = np.asarray(hz, float)
    high = 15 + np.log(np.maximum(hz, 1e-9) / 1000) * 27 / np.log(6.4)
    return np.where(hz < 1000, hz * 3 / 200, high)


def _slaney_hz(mel):
    mel = np.asarray(mel, float)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def mel_filters(warp=1.0):
    """Slaney filters [80, 201]; `warp` moves the formants, up to where little is left of them.

    A frequency f of the sound is seen at warp * f below 4.8 kHz and bends back to 8 kHz above.
    """
    bins = np.linspace(0, RATE_HZ / 2, FFT_SAMPLES // 2 + 1)
    knee = 4800.0 / max(warp, 1.0)
    slope = (8000 - knee * warp) / (8000 - knee)
    bins = np.where(bins < knee, bins * warp, knee * warp + (bins - knee) * slope)
    edges = _slaney_hz(np.linspace(0, _slaney_mel(8000.0), MEL_BINS + 2))
    width = np.diff(edges)
    ramps = edges[:, None] - bins[None, :]
    rising = -ramps[:-2] / width[:-1, None]
    falling = ramps[2:] / width[1:, None]
    filters = np.maximum(0, np.minimum(rising, falling))
    return (filters * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


_WINDOW = torch.hann_window(FFT_SAMPLES)
_PLAIN = torch.from_numpy(mel_filters())


def log_mel(audio, filters=None, stretch=1.0):
    """Returns Whisper's features; `filters` is [80, 201] or one set per clip."""
    spectrum = torch.stft(audio, FFT_SAMPLES, HOP_SAMPLES, window=_WINDOW, return_complex=True)
    spectrum = spectrum[..., :-1]
    power = spectrum.real.square() + spectrum.imag.square()
    mel = ((_PLAIN if filters is None else filters) @ power).clamp(min=1e-10).log10()
    if stretch != 1.0:
        frames = int(mel.shape[2] * stretch) // 2 * 2
        mel = torch.nn.functional.interpolate(mel, size=frames, mode="linear", align_corners=False)
    mel = torch.maximum(mel, mel.amax((1, 2), keepdim=True) - 8.0)
    return (mel + 4.0) / 4.0
