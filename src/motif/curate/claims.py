"""What a sentence about a motion claims: sides, directions, counts, body parts; and what a rewriting of it lost."""

import re
from collections import Counter

_UNITS = "zero one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
_TENS = {"fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "ninety": 90, "hundred": 100}
NUMBERS = {word: value for value, word in enumerate(_UNITS)} | _TENS
"""Numbers as words."""
_TIMES = {"once": 1, "twice": 2, "thrice": 3}
_PART = (
    r"hand|arm|leg|foot|feet|knee|elbow|shoulder|wrist|hip|ankle|head|neck|torso|waist|chest|finger|thumb|toe|heel|"
    r"palm|fist|face|chin|mouth|ear|thigh|wing|tail|paw"
)
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?")
_PARTS = re.compile(rf"(?:{_PART})s?|body|trunk")
_COUNTED = re.compile(r"time|step|jump|turn|leg|foot|hand|arm")
_SIDES = {"left": "left", "right": "right", "leftward": "left", "rightward": "right"}
_SIDES |= {"leftwards": "left", "rightwards": "right"}
_DIRECTIONS = {
    "forward": "forward", "forwards": "forward", "ahead": "forward", "backward": "backward", "backwards": "backward",
    "upward": "up", "upwards": "up", "up": "up", "downward": "down", "downwards": "down", "down": "down",
    "sideways": "sideways", "sideway": "sideways", "diagonally": "diagonal", "diagonal": "diagonal",
}  # fmt: skip
_WAYS = {
    "counterclockwise": "counterclockwise", "anticlockwise": "counterclockwise", "clockwise": "clockwise",
    "circle": "circle", "circles": "circle", "circular": "circle",
}  # fmt: skip
_SPEEDS = {
    "slow": "slow", "slowly": "slow", "fast": "fast", "quick": "fast", "quickly": "fast", "rapidly": "fast",
    "rapid": "fast", "brisk": "fast", "briskly": "fast", "speedily": "fast", "swiftly": "fast",
}  # fmt: skip
_SEVERAL = {"several": "several", "few": "several", "many": "several", "multiple": "several", "repeatedly": "several"}
_NOT = {"not", "never", "without", "no", "doesn't", "isn't", "don't", "cannot"}
_AFTER = re.compile(r"\b(?:then|after|afterwards|before|followed|finally|next)\b")
_CHANGES = (
    (re.compile(r"counter[- ]clockwise|anti[- ]clockwise"), "counterclockwise"),
    (re.compile(r"\b(left|right)-hand(?:ed)?\s+(turn|side|direction|way)"), r"\1 \2"),
    (re.compile(r"\bright (?:away|after|now|before|in front|then)\b"), " "),
    (re.compile(r"\bback[- ]and[- ]forth\b|\bto and fro\b"), " oscillating "),
    (re.compile(r"\b(?:walk|step|run|jog|move|jump|hop)(s|ing|ed|ping|ped|ning)? back\b"), r"goes backward"),
    (re.compile(r"(\d)\s*°"), r"\1 degrees"),
    (re.compile(r"[-_/]"), " "),
)


def claims(text: str) -> Counter[str]:
    """Return what a sentence claims, e.g. ``left hand``, ``forward``, ``3``, ``circle``, ``slow``, ``not``."""
    return Counter(sequence(text))


def sequence(text: str) -> list[str]:
    """Return the claims of a sentence in its order."""
    text = text.lower().replace("\u2019", "'").replace("'s ", " ")
    for pattern, by in _CHANGES:
        text = pattern.sub(by, text)
    words = _WORD.findall(text)
    found: list[str] = []
    skip = -1
    for at, word in enumerate(words):
        if at <= skip:
            continue
        if word in _SIDES or word == "both":
            part = next((k for k in range(at + 1, min(at + 3, len(words))) if _PARTS.fullmatch(words[k])), None)
            between = words[at + 1 : part] if part else []
            if part and not any(w in _SIDES or w in ("and", "the", "a", "with") for w in between):
                found.append(f"{_SIDES.get(word, 'both')} {_singular(words[part])}")
                skip = part
            else:
                found.append(_SIDES.get(word, "both"))
        else:
            found += _claim(word, words[at + 1] if at + 1 < len(words) else "")
    return found


def _claim(word: str, after: str) -> list[str]:
    """What one word claims, if anything."""
    if _PARTS.fullmatch(word):
        return [_singular(word)]
    for table in (_DIRECTIONS, _WAYS, _SPEEDS, _SEVERAL):
        if word in table:
            return [table[word]]
    if word in _TIMES:
        return [str(_TIMES[word])]
    if word == "single" or (word == "one" and _COUNTED.fullmatch(after)):
        return ["1"]
    if word in NUMBERS and word != "one":
        return [str(NUMBERS[word])]
    if word[0].isdigit():
        return [f"{float(word):g}"]
    return ["not"] if word in _NOT else []


def _singular(word: str) -> str:
    word = "torso" if word == "trunk" else word.replace("ee", "oo") if word == "feet" else word
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def check(original: str, rewritten: str) -> list[str]:
    """Return in words what a rewriting lost, added or changed of the claims of the original; empty if nothing.

    A claim made twice may be made once, as long as it is made. Where one thing follows another, so it must stay.
    """
    before, after = sequence(original), sequence(rewritten)
    lost = [c for c in dict.fromkeys(before) if c not in after and not _within(c, after)]
    added = [c for c in dict.fromkeys(after) if c not in before and not _within(c, before)]
    problems = [f"lost: {c}" for c in lost] + [f"added: {c}" for c in added]
    if not problems and _AFTER.search(original.lower()):
        first, second = list(dict.fromkeys(before)), list(dict.fromkeys(after))
        common = [c for c in first if c in second]
        if common != [c for c in second if c in first]:
            problems.append(f"changed: the order of {', '.join(common)}")
    return problems


def _within(claim: str, others: list[str]) -> bool:
    """Whether a part without a side is named with one elsewhere: ``hand`` in ``left hand``."""
    return " " not in claim and bool(_PARTS.fullmatch(claim)) and any(o.endswith(f" {claim}") for o in others)
