"""Other ways of saying a sentence about a motion: subject, wording and order change, the claims stay.

Every result is checked (:func:`motif.curate.claims.check`); what does not pass is not given out.
"""

import random
import re

from .claims import check

_SUBJECT = re.compile(
    r"^(?:an?|the|this|one)?\s*(?P<kind>person|someone|somebody|man|woman|guy|boy|girl|figure|human figure|human|"
    r"individual|character|creature|animal)\b\s+(?:(?:who|that) )?(?P<rest>.+?)\.?$",
    re.IGNORECASE | re.DOTALL,
)
_NEUTRAL = ("a person", "someone", "the person", "a human", "an individual", "this person", "the figure")
_SUBJECTS = {
    "man": ("a man", "the man", "this man"), "woman": ("a woman", "the woman", "this woman"),
    "guy": ("a man", "the man", "a guy"), "boy": ("a boy", "the boy"), "girl": ("a girl", "the girl"),
    "creature": ("a creature", "the creature", "this creature"), "animal": ("an animal", "the animal"),
    "character": ("a character", "the character"),
}  # fmt: skip
_WRAPS = (
    "{s} {r}.", "{s} {r}.", "In this motion, {s} {r}.", "In the clip, {s} {r}.", "Here {s} {r}.",
    "It shows {s} who {r}.", "The motion is of {s} who {r}.", "We see {s} who {r}.", "There is {s} who {r}.",
)  # fmt: skip
_SWAPS = tuple(
    tuple(row.split(" | "))
    for row in (
        "turns to the left and to the right | turns left and right",
        "turns left | turns to the left | makes a turn to the left | makes a left turn",
        "turns right | turns to the right | makes a turn to the right | makes a right turn",
        "turning left | turning to the left",
        "turning right | turning to the right",
        "raises | lifts",
        "raising | lifting",
        "walks forward | walks ahead | walks straight ahead",
        "runs forward | runs ahead",
        "forward | forwards",
        "backward | backwards",
        "slowly | at a slow pace | in a slow manner",
        "quickly | rapidly | at a fast pace | fast",
        "at a slow pace | slowly",
        "once | one time | a single time",
        "twice | two times | 2 times",
        "three times | 3 times | thrice",
        "four times | 4 times",
        "five times | 5 times",
        "six times | 6 times",
        "seven times | 7 times",
        "eight times | 8 times",
        "nine times | 9 times",
        "ten times | 10 times",
        "two steps | 2 steps",
        "three steps | 3 steps",
        "four steps | 4 steps",
        "five steps | 5 steps",
        "six steps | 6 steps",
        "seven steps | 7 steps",
        "eight steps | 8 steps",
        "nine steps | 9 steps",
        "ten steps | 10 steps",
        "in a circle | in a circular path",
        "and then | , after that, | , then",
        "in place | on the spot",
        "starts | begins",
        "starting | beginning",
        "by about | by around | by roughly",
        "of about | of around | of roughly",
        "several times | multiple times | many times",
        "a few steps | several steps",
        "crouches down | squats down",
        "bends forward | leans forward",
        "stands still | stands motionless",
        "in front of him | in front of himself",
        "walks | is walking",
        "runs | is running",
        "jumps | leaps",
        "waves | is waving",
    )
)
_WHILE = re.compile(r"^(?P<first>.+?),? while (?P<second>\w+ing\b(?:(?!,| then| and ).)+)$")


def rewrite(text: str, count: int = 1, seed: int = 0) -> list[str]:
    """Return up to ``count`` different ways of saying a sentence, none the sentence itself, the same for a seed.

    Its claims (sides, directions, counts, body parts) are in all of them. A sentence that the grammar does not know has
    few or none.
    """
    draw = random.Random(seed)
    plain = _plain(text)
    found: dict[str, None] = {}
    for _ in range(12 * count):
        said = _capital(_vary(" ".join(text.split()), draw))
        if _plain(said) != plain and said not in found and not check(text, said):
            found[said] = None
        if len(found) == count:
            break
    return list(found)


def _plain(text: str) -> str:
    return text.strip().rstrip(".").lower()


def _capital(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _vary(text: str, draw: random.Random) -> str:
    """One draw: other words, another subject, another order, another frame."""
    match = _SUBJECT.match(text)
    if match is None:
        said = _swap(text, draw)
        return draw.choice(("{}", "In this motion: {}", "The motion: {}")).format(said.rstrip("."))
    subject, rest, tail = draw.choice(_subjects(match["kind"].lower(), text)), match["rest"], ""
    first, stop, others = rest.partition(". ")
    if stop:
        rest, tail = first, " " + others.rstrip(".") + "."
    rest = _swap(rest, draw)
    third = re.match(r"(?:is |\w+s\b)", rest)
    both = _WHILE.match(rest)
    if both and draw.random() < 0.4:
        return f"While {both['second']}, {subject} {both['first']}.{tail}"
    if third is None:  # "a person walking": not a whole sentence
        frame = draw.choice(("{s} {r}.", "It shows {s} {r}.", "The motion is of {s} {r}.", "We see {s} {r}."))
    else:
        frame = draw.choice(_WRAPS)
    return frame.format(s=subject, r=rest) + tail


def _subjects(kind: str, text: str) -> tuple[str, ...]:
    """Other names of who moves; a man stays one where the sentence goes on about him."""
    own = _SUBJECTS.get(kind, _NEUTRAL)
    gendered = re.search(r"\b(?:he|she|his|her|him|hers|himself|herself)\b", text, re.IGNORECASE)
    return own if gendered or own is _NEUTRAL or kind in ("creature", "animal", "character") else own + _NEUTRAL[:2]


def _whole(phrase: str) -> str:
    """A pattern of a phrase as whole words; a turn by some degrees, or to one side and the other, is left as it is."""
    more = r"(?! and (?:right|left|to the)| by\b)" if phrase.startswith("turn") and " and " not in phrase else ""
    return rf"(?<![\w-]){re.escape(phrase)}(?![\w-]){more}"


def _swap(text: str, draw: random.Random) -> str:
    """Put other words for some of the phrases that are known."""
    for row in _SWAPS:
        if draw.random() < 0.4:
            continue
        found = [p for p in row if re.search(_whole(p), text)]
        if not found:
            continue
        old = max(found, key=len)
        alone = not re.search(r",| and | while ", text)  # "is walking and turns" is no sentence
        options = [p for p in row if p != old and (alone or not p.startswith("is "))]
        if options:
            text = re.sub(_whole(old), draw.choice(options), text, count=1)
    return re.sub(r"\s+([,.])", r"\1", text)
