"""Whisper's English vocabulary as every peer wants it, and the words that the weights will say.

In: `gpt2.tiktoken` (a line for each token: base64 and number) from the source distribution of the
package openai-whisper, MIT. Out: tokens as bytes, a tokenizer.json, the numbers of the words.
"""

import base64
import json

END, START, LANGUAGES = 50_256, 50_257, 99
TRANSLATE, TRANSCRIBE, START_LM, START_PREVIOUS, NO_SPEECH, NO_TIMESTAMPS = range(50_357, 50_363)
SIZE = 51_864

# Plain words, each one token with the space before it. No two alike: a text that repeats itself
# would be thrown away by every engine's guard.
WORDS = (
    "water garden music winter bridge letter market summer window doctor silver orange river "
    "school engine forest button pocket kitchen mountain station animal village island morning "
    "teacher yellow machine picture history battery color number voice paper train friend stone "
    "paint coffee green table horse floor sugar glass light").split()


def read_tokens(path):
    """The 50,256 tokens of text as bytes, in the order of their numbers."""
    tokens = {}
    for line in path.read_text(encoding="ascii").splitlines():
        if line:
            text, number = line.split()
            tokens[int(number)] = base64.b64decode(text)
    assert sorted(tokens) == list(range(END)), "gpt2.tiktoken is not the vocabulary of GPT-2"
    return [tokens[i] for i in range(END)]


def planted(tokens, count):
    """The numbers of the first `count` words."""
    numbers = {token: i for i, token in enumerate(tokens)}
    found = [numbers[b" " + word.encode()] for word in WORDS if b" " + word.encode() in numbers]
    if len(found) < count:
        raise ValueError(f"at most {len(found)} tokens can be planted, not {count}")
    return found[:count]


def special_tokens():
    """The names of the tokens from END on."""
    names = ["<|endoftext|>", "<|startoftranscript|>"]
    names += [f"<|language{i}|>" for i in range(LANGUAGES)]
    names[2] = "<|en|>"
    names += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>"]
    names += ["<|nospeech|>", "<|notimestamps|>"]
    names += [f"<|{i * 0.02:.2f}|>" for i in range(1_501)]
    assert END + len(names) == SIZE and names[NO_TIMESTAMPS - END] == "<|notimestamps|>"
    return names


def letters():
    """The letter that stands for each byte in a byte-level vocabulary."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {byte: chr(byte) for byte in plain}
    for byte in range(256):
        table.setdefault(byte, chr(256 + len(table) - len(plain)))
    return table


def written(tokens):
    """Each token in those letters."""
    table = letters()
    return ["".join(table[byte] for byte in token) for token in tokens]


def merges(tokens):
    """The pair of tokens that each longer token is made of: what BPE does to its bytes last."""
    ranks = {token: i for i, token in enumerate(tokens)}
    pairs = []
    for token, rank in ranks.items():
        if len(token) == 1:
            continue
        parts = [bytes([byte]) for byte in token]
        while len(parts) > 2:
            joined = [ranks.get(a + b, rank) for a, b in zip(parts, parts[1:])]
            best = min(joined)
            if best >= rank:
                break
            at = joined.index(best)
            parts[at:at + 2] = [parts[at] + parts[at + 1]]
        if len(parts) == 2:
            pairs.append(parts)
    return pairs


def tokenizer_json(tokens):
    """The contents of tokenizer.json."""
    text = written(tokens)
    vocabulary = {word: i for i, word in enumerate(text)}
    table = letters()
    line = lambda parts: " ".join("".join(table[byte] for byte in part) for part in parts)
    special = [
        {"id": END + i, "content": name, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for i, name in enumerate(special_tokens())
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                  "use_regex": True}
    return json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": None, "pre_tokenizer": byte_level, "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False,
                  "byte_fallback": False, "vocab": vocabulary,
                  "merges": [line(pair) for pair in merges(tokens)]},
    }, ensure_ascii=False)
