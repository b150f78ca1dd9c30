"""What rooms, microphones and people do to speech: speed, colour, echo, level, noise.

In: one clip as float32. Out: the changed clip. All randomness comes from the given generator,
a numpy Generator. `hardness` runs from 0 (clean, first minutes) to 1 (rooms).
"""

import bisect

import numpy as np
import scipy.fft

_SMOOTH = sorted(
    a * b * c
    for a in [2**i for i in range(21)]
    for b in [1, 3, 9]
    for c in [1, 5]
    if 1024 <= a * b * c <= 2**20
)


def smooth_length(samples):
    """The next length whose FFT is fast."""
    return _SMOOTH[bisect.bisect_left(_SMOOTH, samples)]


def change_speed(audio, factor):
    """Plays faster (factor > 1) and higher, or slower and lower."""
    positions = np.arange(0, len(audio) - 1, factor, dtype=np.float32)
    return np.interp(positions, np.arange(len(audio)), audio).astype(np.float32)


def _room(rng, length, bins):
    """Spectrum of a random room: direct sound, then noise that dies away."""
    seconds = rng.uniform(0.1, 0.6)
    tail = int(16000 * seconds)
    response = rng.standard_normal(tail, dtype=np.float32)
    response *= np.exp(-np.arange(tail, dtype=np.float32) * (6.9 / tail))
    response[: int(rng.uniform(16, 160))] = 0
    response *= 10 ** (rng.uniform(-14, 2) / 20) / (np.sqrt((response**2).sum()) + 1e-9)
    response[0] = 1.0
    return scipy.fft.rfft(response, length)[:bins]


def colour(rng, audio, hardness):
    """Random tone curve, band limits and echo, in one pass through the spectrum."""
    tail = 4800 if rng.random() < 0.4 * hardness else 0
    length = smooth_length(len(audio) + tail)
    spectrum = scipy.fft.rfft(audio, length)
    bins = len(spectrum)
    where = np.linspace(0, 8000, bins, dtype=np.float32)
    if rng.random() < 0.7:
        knots = np.array([0, 200, 500, 1000, 2000, 3500, 5500, 8000])
        gain_db = rng.uniform(-7, 7, len(knots)) * (0.4 + 0.6 * hardness) + rng.uniform(-6, 6) * (
            np.linspace(-1, 1, len(knots))
        )
        spectrum *= (10 ** (np.interp(where, knots, gain_db) / 20)).astype(np.float32)
    if rng.random() < 0.2:
        low = rng.uniform(2800, 5500) if rng.random() < 0.7 else 8000
        high = rng.uniform(60, 350)
        spectrum *= 1 / (1 + (where / low) ** 16) * (1 - 1 / (1 + (where / high) ** 4))
    if tail:
        spectrum *= _room(rng, length, bins)
    return scipy.fft.irfft(spectrum, length)[: len(audio) + tail].astype(np.float32)


def coloured(rng, samples, power):
    """Noise of deviation 1 whose power falls with the frequency to the given power."""
    length = smooth_length(samples)
    spectrum = scipy.fft.rfft(rng.standard_normal(length, dtype=np.float32))
    where = np.maximum(np.arange(len(spectrum)), 30)
    track = scipy.fft.irfft(spectrum * where ** (-power / 2), length).astype(np.float32)
    return track / track.std()


def _clatter(rng, samples):
    """Dishes, keys, steps: short knocks that ring, a few a second."""
    track = np.zeros(samples + 8000, np.float32)
    for _ in range(int(samples / 16000 * rng.uniform(1, 9))):
        at, decay = int(rng.integers(samples)), int(16000 * np.exp(rng.uniform(-5.3, -2.5)))
        time = np.arange(6 * decay, dtype=np.float32)[:8000]
        knock = rng.standard_normal(len(time), dtype=np.float32) * rng.uniform(0.1, 1)
        for tone_hz in np.exp(rng.uniform(5.5, 8.8, rng.integers(1, 4))):
            knock += np.sin(time * np.float32(2 * np.pi * tone_hz / 16000))
        knock *= np.exp(-time / decay) * np.float32(np.exp(rng.normal(0, 0.8)))
        track[at : at + len(knock)] += knock
    return track[:samples]


def _tones(rng, samples, notes):
    """A motor that hums, or with `notes` some music: harmonics that change as it goes on."""
    track = np.zeros(samples, np.float32)
    for _ in range(rng.integers(1, 4)):
        at = 0
        while at < samples:
            length = int(16000 * rng.uniform(0.12, 0.7)) if notes else samples
            time = np.arange(min(length, samples - at), dtype=np.float32) / 16000
            base = np.exp(rng.uniform(4.4, 6.6))
            wobble = 0.003 * np.sin(2 * np.pi * rng.uniform(0.3, 6) * time)
            loud = np.exp(-time * rng.uniform(0, 5)) if notes else 1 + 60 * wobble
            for k in range(1, int(rng.integers(3, 14))):
                phase = 2 * np.pi * k * base * (time + wobble / (1 if notes else 5))
                part = np.sin(phase + rng.uniform(0, 6)) * loud / k ** rng.uniform(0.4, 1.6)
                track[at : at + len(time)] += part if k * base < 7500 else 0
            at += max(1, length)
    return track


def _babble(rng, samples, voices):
    """A few people who talk at once; `voices` draws a clip."""
    track = np.zeros(samples, np.float32)
    for _ in range(rng.integers(2, 8)):
        at, level = -int(rng.integers(32000)), np.float32(np.exp(rng.normal(0, 0.5)))
        while at < samples:
            audio = voices() * level
            audio = audio[max(0, -at) : samples - at]
            track[max(0, at) : max(0, at) + len(audio)] += audio
            at = max(0, at) + len(audio) + int(rng.integers(8000))
    return track


def made_tracks(rng, voices, samples=16000 * 20):
    """Tracks of deviation 1 for what few recordings have: knocks, motors, music, talk, gusts."""
    tracks = [_clatter(rng, samples) for _ in range(5)]
    tracks += [_tones(rng, samples, notes) for notes in (False, False, False, True, True, True)]
    tracks += [_babble(rng, samples, voices) for _ in range(5 if voices else 0)]
    for power in (0.0, 0.5, 1.0, 1.5):
        gusts = np.exp(1.2 * np.interp(
            np.arange(samples), np.linspace(0, samples, 60), rng.standard_normal(60)
        ))
        tracks.append(coloured(rng, samples, power)[:samples] * gusts)
    floor = rng.uniform(0.02, 0.3, len(tracks))
    tracks = [t / t.std() + f * coloured(rng, samples, 0.8)[:samples]
              for t, f in zip(tracks, floor)]
    return [(t / t.std()).astype(np.float32) for t in tracks]


class NoiseBank:
    """Long stretches of noise, from white to brown, and recorded noise; slices are cheap."""

    SAMPLES = 16000 * 20

    def __init__(self, rng, recorded, share=0.5, varied=False, more=()):
        """`share` of the draws is recorded; `varied` plays half of them slower or faster.

        `more` are further tracks beside the coloured noise, such as `made_tracks`.
        """
        self.share, self.varied = share, varied
        self.tracks = [coloured(rng, self.SAMPLES, power) for power in np.linspace(0, 1.6, 9)]
        self.tracks += more
        self.recorded = []
        for audio in recorded:
            repeats = max(1, int(np.ceil(self.SAMPLES / 2 / len(audio))))
            self.recorded.append(np.tile(audio / (audio.std() + 1e-6), repeats))

    def draw(self, rng, samples):
        """Returns noise of power about 1."""
        recorded = self.recorded and rng.random() < self.share
        pool = self.recorded if recorded else self.tracks
        track = pool[rng.integers(len(pool))]
        vary = recorded and self.varied and rng.random() < 0.5
        speed = float(np.exp(rng.uniform(-0.4, 0.4))) if vary else 1.0
        length = int(samples * speed) + 2 if vary else samples
        if len(track) < length + 1:
            track = np.tile(track, length // len(track) + 2)
        at = rng.integers(len(track) - length)
        noise = track[at : at + length]
        if vary:
            noise = change_speed(noise, speed)[:samples]
            samples = len(noise)
        if rng.random() < 0.2:
            other = self.tracks[rng.integers(len(self.tracks))]
            at = rng.integers(len(other) - samples) if len(other) > samples else 0
            part = other[at : at + samples]
            noise = noise[: len(part)] + rng.uniform(0.1, 1.0) * part
        return noise
