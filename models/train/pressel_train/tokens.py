"""The tokenizer: byte-level BPE with Whisper's special tokens, in the Hugging Face format.

In: texts of the grammar. Out: tokenizer.json. Text tokens come first, special tokens last, as in
Whisper. The network is English only, so the prefix is <|startoftranscript|><|notimestamps|>,
or the first timestamp behind <|startoftranscript|>.
"""

import json
import math
import random
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END = "<|endoftext|>"
START = "<|startoftranscript|>"
NO_SPEECH = "<|nospeech|>"
NO_TIMESTAMPS = "<|notimestamps|>"
SPECIAL = [END, START, "<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>",
           NO_SPEECH, NO_TIMESTAMPS]
TIMESTAMP_S = 0.02
TIMESTAMPS = [f"<|{i * TIMESTAMP_S:.2f}|>" for i in range(1501)]


def train_tokenizer(size, path, grammar, texts=20000):
    """Learns the merges from texts of the grammar and saves tokenizer.json."""
    rng = random.Random(0)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    lines = [" " + grammar.draw(rng) for _ in range(texts)]
    lines += [" " + word for word in grammar.vocabulary() for _ in range(200)]
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.add_special_tokens(SPECIAL + TIMESTAMPS)
    tokenizer.save(str(path))


def extend_tokenizer(old, path, words):
    """Adds merges until each word is one token; what was one token before keeps its number."""
    data = json.loads(Path(old).read_text(encoding="utf-8"))
    data["added_tokens"], model = [], data["model"]
    merges = [" ".join(m) if isinstance(m, list) else m for m in model["merges"]]
    ranks = {merge: rank for rank, merge in enumerate(merges)}
    for word in words:
        pieces = list("Ġ" + word)
        while len(pieces) > 1:
            pairs = [" ".join(pair) for pair in zip(pieces, pieces[1:])]
            best = min(pairs, key=lambda pair: ranks.get(pair, math.inf))
            if best not in ranks:
                ranks[best] = len(merges)
                merges.append(best)
                model["vocab"][best.replace(" ", "")] = len(model["vocab"])
            at = pairs.index(best)
            pieces[at : at + 2] = [best.replace(" ", "")]
    model["merges"] = merges
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.add_special_tokens(SPECIAL + TIMESTAMPS)
    tokenizer.save(str(path))


class Tokens:
    """Text to token numbers and back."""

    def __init__(self, path):
        self.tokenizer = Tokenizer.from_file(str(path))
        number = self.tokenizer.token_to_id
        self.end, self.start = number(END), number(START)
        self.no_speech, self.no_timestamps = number(NO_SPEECH), number(NO_TIMESTAMPS)
        self.first_timestamp = number(TIMESTAMPS[0])
        self.count = self.tokenizer.get_vocab_size()
        self.never = list(range(self.end + 1, self.no_timestamps + 1))  # not said by a decoder
        self.prefix = [self.start, self.no_timestamps]

    def encode(self, text):
        """Text tokens of a text; like Whisper's, each word begins with a blank."""
        return self.tokenizer.encode(" " + text).ids if text else []

    def timestamp(self, seconds):
        """The token of a moment in the window."""
        return self.first_timestamp + min(max(round(seconds / TIMESTAMP_S), 0), len(TIMESTAMPS) - 1)

    def decode(self, ids):
        """The text of token numbers; special tokens are left out."""
        return self.tokenizer.decode([i for i in ids if i < self.end]).strip()
