"""Draws texts from grammar.toml: commands, digit strings and words in any order.

In: grammar.toml. Out: one lower-case text per call to `Grammar.draw`, and the vocabulary.
Runs in the renderer and in the card; no audio here.
"""

import re
import tomllib
from pathlib import Path

ONES = "zero one two three four five six seven eight nine".split()
TEENS = (
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
)
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()

DEFAULT_PATH = Path(__file__).resolve().parent.parent / "grammar.toml"


def spell_number(value):
    """Spells a number from 0 to 100 as it is spoken."""
    assert 0 <= value <= 100
    if value < 10:
        return ONES[value]
    if value < 20:
        return TEENS[value - 10]
    if value == 100:
        return "one hundred"
    tens = TENS[value // 10 - 2]
    return tens if value % 10 == 0 else f"{tens} {ONES[value % 10]}"


class Grammar:
    """The lists, patterns and shares of one grammar file."""

    def __init__(self, path=DEFAULT_PATH):
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        self.lists = {k: v for k, v in data["lists"].items() if isinstance(v, list)}
        self.lists.update(data["lists"].get("more", {}))
        self.commands = [(c["pattern"], c["weight"]) for c in data["command"]]
        self.core = data["core"]
        self.salad = data["salad"]
        self.digits = data["digits"]
        self.other = data["other"]
        loose = set(self.salad["unstressed"])
        self.salad_words = [w for w in self.vocabulary() if w not in loose]

    def vocabulary(self):
        """Returns every word that a text of this grammar can hold, sorted."""
        words = set(ONES) | set(TEENS) | set(TENS) | {"hundred"} | set(self.core["words"])
        phrases = [pattern for pattern, _ in self.commands]
        for entries in self.lists.values():
            phrases.extend(entries)
        for phrase in phrases:
            words.update(re.sub(r"\{\w+\}", " ", phrase).split())
        return sorted(words)

    def draw(self, random):
        """Draws one text; `random` is a random.Random."""
        pick = random.random()
        for part, words in (("core", self.core["words"]), ("salad", self.salad_words)):
            share = getattr(self, part)["share"]
            if pick < share:
                return self._loose(random, getattr(self, part), words)
            pick -= share
        if pick < self.digits["share"]:
            count = random.randint(2, self.digits["words_max"])
            return " ".join(random.choice(ONES) for _ in range(count))
        return self.draw_command(random)

    def draw_core(self, random):
        """Draws one core word or digit, or a short string of digits."""
        if random.random() < 0.3:
            return " ".join(random.choice(ONES) for _ in range(random.randint(2, 4)))
        return random.choice(self.core["words"])

    def draw_other(self, random):
        """Draws talk from outside the vocabulary."""
        return self._loose(random, self.other, self.other["words"])

    def draw_command(self, random):
        """Draws one sentence from the command patterns."""
        patterns, weights = zip(*self.commands)
        text = random.choices(patterns, weights)[0]
        while "{" in text:
            text = re.sub(r"\{(\w+)\}", lambda m: self._expand(m.group(1), random), text)
        return " ".join(text.split())

    def _expand(self, name, random):
        if name == "number":
            return spell_number(self._number(random))
        return random.choice(self.lists[name])

    @staticmethod
    def _number(random):
        """Small and round numbers are said more often than others."""
        pick = random.random()
        if pick < 0.35:
            return random.randint(0, 12)
        if pick < 0.55:
            return random.choice([10, 15, 20, 25, 30, 40, 45, 50, 60, 70, 75, 80, 90, 100])
        return random.randint(0, 100)

    @staticmethod
    def _loose(random, part, words):
        if random.random() < part["single_share"]:
            return random.choice(words)
        return " ".join(random.choice(words) for _ in range(random.randint(2, part["words_max"])))
