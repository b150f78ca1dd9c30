"""Who is heard in training, who chooses the checkpoint, and who only judges.

In: the name of a speaker or voice. Out: "train", "choose" or "test", by a hash of the name alone,
so that the same speaker is on the same side in every run, clip and recording set.
"""

import hashlib

TEST_SHARE = 0.26
CHOOSE_SHARE = 0.07


def draw(name):
    """Returns a number in [0, 1) that depends on the name only."""
    digest = hashlib.sha256(("pressel nano 1 " + name).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def of_speaker(name):
    """Returns the side of a recorded speaker."""
    value = draw(name)
    if value < TEST_SHARE:
        return "test"
    return "choose" if value < TEST_SHARE + CHOOSE_SHARE else "train"


def voice_is_held_out(name, share):
    """Tells whether a rendered voice (or accent, or variant) is kept from training."""
    return draw("voice " + name) < share
