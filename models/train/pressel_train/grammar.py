"""Draws texts from grammar.toml: commands, digit strings and words in any order.

In: grammar.toml, and phrases of a user's own. Out: one lower-case text per call to
`Grammar.draw`, and the vocabulary.
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
LITTLE_SHARE = 0.4
OWN_SHARE = 0.5  # of what is drawn, when there are phrases of a user's own
OWN_SALAD_SHARE = 0.2
OWN_WORDS_MAX = 5
PHRASES_MAX = 2000
PHRASE_WORDS_MAX = 14


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


def read_phrases(path):
    """Reads phrases, one a line, `#` for remarks; says which line cannot be spoken and why."""
    phrases = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        phrase = " ".join(line.partition("#")[0].lower().split())
        if not phrase:
            continue
        if not re.fullmatch(r"[a-z' ]+", phrase):
            raise SystemExit(
                f"{path}, line {number}: {phrase!r}: write words only, numbers as they are spoken"
            )
        if len(phrase.split()) > PHRASE_WORDS_MAX:
            raise SystemExit(f"{path}, line {number}: more than {PHRASE_WORDS_MAX} words")
        phrases.append(phrase)
    if not 0 < len(phrases) <= PHRASES_MAX:
        raise SystemExit(f"{path}: {len(phrases)} phrases; between 1 and {PHRASES_MAX} will do")
    return phrases


class Grammar:
    """The lists, patterns and shares of one grammar file, and phrases of a user's own."""

    def __init__(self, path=DEFAULT_PATH, phrases=()):
        self.path = Path(path)
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        self.lists = {k: v for k, v in data["lists"].items() if isinstance(v, list)}
        self.lists.update(data["lists"].get("more", {}))
        self.commands = [(c["pattern"], c["weight"]) for c in data["command"]]
        self.core = data["core"]
        self.salad = data["salad"]
        self.digits = data["digits"]
        self.phrases = list(phrases)
        self.own_words = sorted({word for phrase in self.phrases for word in phrase.split()})
        known = set(self.vocabulary())
        self.other = data["other"]
        self.other_words = [w for w in self.other["words"] if not set(w.split()) <= known]
        loose = set(self.salad["unstressed"])
        self.salad_words = sorted(known - loose)

    def vocabulary(self):
        """Returns every word that a text of this grammar can hold, sorted."""
        words = set(ONES) | set(TEENS) | set(TENS) | {"hundred"} | set(self.core["words"])
        phrases = [pattern for pattern, _ in self.commands] + self.phrases
        for entries in self.lists.values():
            phrases.extend(entries)
        for phrase in phrases:
            words.update(re.sub(r"\{\w+\}", " ", phrase).split())
        return sorted(words)

    def draw(self, random):
        """Draws one text; `random` is a random.Random."""
        if self.phrases and random.random() < OWN_SHARE:
            return self.draw_own(random)
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
        return self._loose(random, self.other, self.other_words)

    def draw_talk(self, random):
        """The same with little words between, which may be of the vocabulary, as in sentences."""
        words = self.draw_other(random).split()
        little = self.salad["unstressed"]
        some = lambda: [random.choice(little)] if random.random() < LITTLE_SHARE else []
        return " ".join(word for one in words for word in [*some(), one])

    def draw_own(self, random):
        """Draws a phrase of the user's own, or its words in any order."""
        if random.random() < OWN_SALAD_SHARE:
            count = random.randint(1, OWN_WORDS_MAX)
            return " ".join(random.choice(self.own_words) for _ in range(count))
        return random.choice(self.phrases)

    def draw_command(self, random):
        """Draws one sentence from the command patterns, or a phrase of the user's own."""
        if self.phrases and random.random() < OWN_SHARE:
            return random.choice(self.phrases)
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
