"""One small set of speech sounds for all synthesisers, so that their timings can teach the network.

In: IPA as espeak-ng writes it, or ARPAbet as flite writes it. Out: class indices.
Class 0 is silence and at the same time the blank of CTC.
"""

import re

PHONES = [
    "sil",
    "iy", "ih", "eh", "ae", "aa", "ao", "uh", "uw", "ah", "er", "ey", "ay", "oy", "aw", "ow",
    "p", "b", "t", "d", "k", "g", "f", "v", "th", "dh", "s", "z", "sh", "zh", "hh", "ch", "jh",
    "m", "n", "ng", "l", "r", "w", "y",
]
INDEX = {name: i for i, name in enumerate(PHONES)}
COUNT = len(PHONES)
SILENCE = 0

# Longest match first. Stress and length marks are removed before.
_IPA = {
    "iəɹ": "ih r", "ɪəɹ": "ih r", "aɪə": "ay ah",
    "aɪɚ": "ay er", "aɪ": "ay", "aʊ": "aw", "eɪ": "ey", "ɔɪ": "oy",
    "oʊ": "ow", "əʊ": "ow", "tʃ": "ch", "dʒ": "jh", "əl": "ah l", "ɪə": "ih ah", "eə": "eh",
    "ʊə": "uh ah", "iə": "iy ah", "ɑɹ": "aa r", "ɔɹ": "ao r", "oɹ": "ao r", "ʊɹ": "uh r",
    "ɛɹ": "eh r", "ɪɹ": "ih r", "ɜɹ": "er", "ɜ": "er", "ɚ": "er", "əɹ": "er",
    "i": "iy", "ɪ": "ih", "ᵻ": "ih", "ɛ": "eh", "e": "ey", "æ": "ae", "a": "ae", "ɑ": "aa",
    "ɒ": "aa", "ɔ": "ao", "o": "ow", "ʊ": "uh", "u": "uw", "ʌ": "ah", "ə": "ah", "ɐ": "ah",
    "y": "uw", "ø": "er", "ɨ": "ih", "ʉ": "uw",
    "p": "p", "b": "b", "t": "t", "d": "d", "k": "k", "ɡ": "g", "g": "g", "f": "f", "v": "v",
    "θ": "th", "ð": "dh", "s": "s", "z": "z", "ʃ": "sh", "ʒ": "zh", "h": "hh", "ɹ": "r",
    "r": "r", "ɾ": "t", "ʔ": "t", "x": "k", "m": "m", "n": "n", "ŋ": "ng", "l": "l", "ɫ": "l",
    "w": "w", "ʍ": "w", "j": "y", "ç": "hh", "ɬ": "l",
    # Kokoro writes a diphthong or an affricate as one character.
    "I": "ay", "W": "aw", "A": "ey", "Y": "oy", "O": "ow", "Q": "ow", "ʤ": "jh", "ʧ": "ch",
    "ᵊ": "ah", "T": "t",
}
_IPA_PATTERN = re.compile("|".join(sorted(map(re.escape, _IPA), key=len, reverse=True)))
_MARKS = re.compile("[ˈˌːˑ̩̃ʲ-]")

_ARPABET = {"ax": "ah", "axr": "er", "ix": "ih", "dx": "t", "en": "n", "el": "l", "em": "m",
            "pau": "sil", "h#": "sil", "brth": "sil", "hv": "hh", "nx": "n", "ux": "uw"}


def from_ipa(text):
    """Turns IPA into class indices; characters that are no sound are skipped."""
    clean = _MARKS.sub("", text)
    found = " ".join(_IPA[m.group(0)] for m in _IPA_PATTERN.finditer(clean))
    return [INDEX[name] for name in found.split()]


def from_arpabet(name):
    """Turns one flite segment name into a class index."""
    name = name.rstrip("012").lower()
    return INDEX[_ARPABET.get(name, name)]


def without_silence(indices):
    """Returns the sounds alone, as CTC wants them."""
    return [i for i in indices if i != SILENCE]
