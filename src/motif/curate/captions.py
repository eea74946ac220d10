"""Captions: sentences from measured facts and from labels, and other ways of saying one, by a small grammar of our own.

All choices are made by a seed, and nothing is said that was not measured or written on the label.
"""

import random
import re
from collections.abc import Iterable, Iterator

from .claims import NUMBERS, check
from .facts import Facts
from .limb_facts import ARM, LEG, Limb
from .phrases import rewrite

__all__ = ["check", "number", "of_description", "of_label", "rewrite", "sentences"]

Phrases = list[str]
_WORDS = {value: word for word, value in NUMBERS.items()}
_WHERE = {
    "forward": ["forward", "ahead", "straight ahead", "forwards"],
    "backward": ["backward", "backwards"],
    "left": ["sideways to the left", "to the left"],
    "right": ["sideways to the right", "to the right"],
}
_GAITS = {
    "slow walk": ["walks slowly", "strolls slowly", "moves at a slow walk"],
    "walk": ["walks"],
    "run": ["runs"],
    "jump": ["jumps"],
    "": ["moves"],
}
_CURVES = {
    "curve": ["in a curve to the {}", "along a path that curves to the {}", "curving to the {}"],
    "circle": ["in a circle to the {}", "around in a circle to the {}"],
}
_TEMPO = {
    "speeds up": ["speeding up", "getting faster"],
    "slows down": ["slowing down", "getting slower"],
    "pauses": ["with a pause", "pausing on the way"],
}
_POSTURES = {
    ("standing", "sitting"): ["sits down", "takes a seat"],
    ("sitting", "standing"): ["stands up", "gets up from a seat"],
    ("standing", "lying"): ["lies down", "goes down to the ground"],
    ("lying", "standing"): ["gets up from the ground", "stands up from the ground"],
    ("standing", "kneeling"): ["kneels down", "goes down to the knees"],
    ("kneeling", "standing"): ["gets up from kneeling"],
}


def sentences(found: Facts, count: int = 1, seed: int = 0) -> list[str]:
    """Return up to ``count`` different sentences that say what was measured, the same ones for the same seed."""
    chosen: dict[str, None] = {}
    draw = random.Random(seed)
    for _ in range(8 * count):
        clauses = [draw.choice(c) for c in _clauses(found)]
        chosen[_sentence(draw.choice(_subjects(found)), clauses)] = None
        if len(chosen) == count:
            break
    return list(chosen)


def number(count: int) -> str:
    """Return a small number as a word, a larger one as digits."""
    return _WORDS[count] if count in _WORDS and count <= 12 else str(count)


def _subjects(found: Facts) -> Phrases:
    """A person has two arms and two legs; what else there is is a creature."""
    kinds = [limb.name for limb in found.limbs]
    biped = sum(k.endswith(ARM) for k in kinds) == 2 and sum(k.endswith(LEG) for k in kinds) == 2
    return ["a person", "someone", "the person", "a human figure"] if biped else ["a creature", "the creature"]


def _sentence(subject: str, clauses: Phrases) -> str:
    """At most three clauses to a sentence; whoever goes on is called ``they`` or ``it``."""
    first, rest = clauses[:3], clauses[3:]
    text = f"{subject} {_joined(first)}."
    if rest:
        text += f" {'It' if 'creature' in subject else 'The person'} also {_joined(rest)}."
    return text[0].upper() + text[1:]


def _joined(clauses: Phrases) -> str:
    return clauses[0] if len(clauses) == 1 else f"{', '.join(clauses[:-1])} and {clauses[-1]}"


def _clauses(found: Facts) -> list[Phrases]:
    """What is said, each in several ways, the most important first."""
    made = [*_travel(found), *_turn(found), *_vertical(found), *_postures(found), *_limbs(found)]
    if made:
        return made
    return [["stands still", "stands without moving"] if found.start == "standing" else ["hardly moves", "keeps still"]]


def times(count: int) -> Phrases:
    """Return how often, in words."""
    if count <= 2:
        return ["once" if count == 1 else "twice"]
    return [f"{number(count)} times", f"{count} times"]


def _travel(found: Facts) -> Iterator[Phrases]:
    if found.activity != "travels":
        return
    verbs = _GAITS[found.gait]
    if found.gait == "jump":
        verbs = [f"jumps {t}" for t in times(found.jumps)]
    ways = list(dict.fromkeys(s.direction for s in found.stretches))
    if len(ways) > 1 and found.direction not in ("forward", "backward"):
        ways = [found.direction]
    where = [_where(way) for way in ways[:3] or [found.direction]]
    spelled = [", then ".join(options) for options in zip(*_even(where), strict=True)]
    tails = [""]
    kind, _, side = found.path.partition(" ")
    if kind in _CURVES:
        tails = [" " + curve.format(side) for curve in _CURVES[kind]]
    if found.path == "back and forth":
        tails = [" and goes back on the same path", " and returns"]
    if found.tempo in _TEMPO:
        tails += [f"{tail}, {tempo}" for tail in tails for tempo in _TEMPO[found.tempo]]
    if found.steps >= 2 and found.gait != "jump" and found.path == "straight":
        tails += [f" for {number(found.steps)} steps", f", taking {found.steps} steps"]
    yield [f"{verb} {way}{tail}" for verb in verbs for way in spelled for tail in tails]


def _where(way: str) -> Phrases:
    if way in _WHERE:
        return _WHERE[way]
    along, side = way.split(" ")
    return [f"diagonally {along} to the {side}", f"{along} and to the {side}"]


def _even(rows: list[Phrases]) -> list[Phrases]:
    size = max(map(len, rows))
    return [[row[i % len(row)] for i in range(size)] for row in rows]


def _turn(found: Facts) -> Iterator[Phrases]:
    side = found.turn_side
    if side == "both":
        yield ["turns to the left and to the right", "turns left and right"]
    elif side and not (found.path.endswith(side) and abs(found.turn) < 60):
        degrees = 15 * round(abs(found.turn) / 15)
        yield [
            f"turns {side} by about {degrees} degrees",
            f"turns to the {side}",
            f"turns about {degrees} degrees to the {side}",
            f"makes a turn of about {degrees} degrees to the {side}",
        ]


def _vertical(found: Facts) -> Iterator[Phrases]:
    if found.jumps and found.gait != "jump":
        yield [f"{verb} {often}" for verb in ("jumps", "jumps up", "leaps up") for often in times(found.jumps)]
    if found.crouches and not found.jumps and found.start == found.end:
        yield [f"crouches down {often}" for often in times(found.crouches)]
    if found.bows and not found.jumps:
        yield [f"{v} {often}" for v in ("bends forward", "leans the upper body forward") for often in times(found.bows)]
    if found.climbed or found.descended:
        both = found.climbed and found.descended
        yield ["climbs up and comes down again" if both else "climbs up" if found.climbed else "climbs down"]


def _postures(found: Facts) -> Iterator[Phrases]:
    if (found.start, found.end) in _POSTURES:
        yield _POSTURES[found.start, found.end]
    elif found.start == found.end and found.start not in ("", "standing"):
        posture = f"on the ground, {found.start}" if found.start == "lying" else found.start
        yield [f"stays {posture}"]


def _limbs(found: Facts) -> Iterator[Phrases]:
    arms = {limb.side: limb for limb in found.limbs if limb.name.endswith(ARM) and limb.way > 0.25}
    active = ["left", "right"] if found.arms == "both" else [found.arms]
    moving = [arms[side] for side in active if side in arms]
    walks = found.activity == "travels"
    if len(moving) == 2 and moving[0].raised == moving[1].raised:
        if moving[0].raised or not walks:
            yield _arm(moving[0], "both", _agreed(moving))
    else:
        yield from (_arm(arm, arm.side, arm.repeats) for arm in moving if arm.raised or not walks)
    if found.activity == "stands":
        if found.legs in ("left", "right"):
            yield [f"moves the {found.legs} leg", f"lifts the {found.legs} leg"]
        middle = [limb for limb in found.limbs if not limb.side and limb.name in found.busy]
        yield from ([f"moves the {limb.name}"] for limb in middle if not moving)


def _agreed(pair: list[Limb]) -> int:
    """How often a pair swings, if both do equally often within one."""
    a, b = (limb.repeats for limb in pair)
    return max(a, b) if abs(a - b) <= 1 and min(a, b) > 0 else 0


def _arm(arm: Limb, side: str, repeats: int) -> Phrases:
    hand, whole = ("both hands", "both arms") if side == "both" else (f"the {side} hand", f"the {side} arm")
    often = times(repeats) if repeats >= 2 else [""]
    if arm.raised and repeats >= 3:
        return [f"{v} {hand} {t}" for v in ("waves", "raises and waves") for t in often] + [
            f"waves {hand} {arm.raised}" for _ in often
        ]
    if arm.raised:
        return [f"{verb} {what} {arm.raised}" for verb in ("raises", "lifts") for what in (hand, whole)]
    swing = "back and forth" if repeats >= 2 else ""
    return [" ".join(filter(None, (f"moves {what}", swing, t))) for what in (hand, whole) for t in often]


# --- labels ---------------------------------------------------------------------------------------------------------
_ACTIVITIES = {
    "walk": ["walks", "is walking"], "run": ["runs", "is running"], "dash": ["dashes", "sprints"],
    "walk-back": ["walks backward", "walks backwards"], "walk-left": ["walks to the left"],
    "walk-right": ["walks to the right"], "bye": ["waves goodbye"], "byebye": ["waves goodbye with both hands"],
    "bow": ["bows", "takes a bow"], "call": ["calls someone over"], "guide": ["shows the way"],
    "respond": ["responds"], "kick": ["kicks"], "punch": ["punches"], "slash": ["slashes"],
    "dance-short": ["dances for a short while"], "dance": ["dances"],
}  # fmt: skip
_STYLES = {
    "normal": [""], "masculinity": ["in a masculine way"], "not-confident": ["without confidence"],
    "old": ["like an old person"], "elderly": ["like an elderly person"], "giant": ["like a giant"],
    "chimpira": ["with a swagger"], "musical": ["to the beat of music"], "youthful": ["like a young person"],
}  # fmt: skip
_VERBS = frozenset(
    re.findall(
        r"\w+",
        """walk run jog jump hop leap climb swing sit stand turn kick punch wave dance bow crouch lift rise stop
        start duck dive roll balance bend scoop reach drop dangle hang shoot dribble stretch navigate laugh drink
        point strike squat stumble fall stride veer mop wash direct lean twist rock lower pull push hold step dash
        throw catch crawl kneel pick carry look move slap smash yawn sneak march creep spin skip slide search put
        take close get sweep""",
    )
)
_LABEL = re.compile(r"^(?:dataset-\d_)?(?P<activity>[a-z][a-z-]*)(?:_(?P<style>[a-z-]+))?(?:_\d+)?$")
_SIDED = re.compile(r"^(walk-turn|raise-up|wave)-(left|right|both)(?:-(\w+?)s?)?$")


def of_label(label: str, count: int = 1, seed: int = 0) -> list[str]:
    """Return sentences for an ``activity_style`` label such as ``walk-turn-left_active`` or a file called so."""
    match = _LABEL.match(label.lower())
    if match is None:
        return of_description(label, count, seed)
    return _spread(_label_phrases(match["activity"]), _styles(match["style"] or "normal"), count, seed)


def _label_phrases(activity: str) -> Phrases:
    sided = _SIDED.match(activity)
    if sided is None:
        return _ACTIVITIES.get(activity, [f"performs {_article(activity.replace('-', ' '))}"])
    what, side, part = sided.groups()
    if what == "walk-turn":
        return [f"walks and turns {side}", f"walks and makes a turn to the {side}", f"turns {side} while walking"]
    hand = f"both {part}s" if side == "both" else f"the {side} {part}"
    return [f"waves {hand}"] if what == "wave" else [f"raises {hand}", f"lifts {hand} up", f"raises {hand} up"]


def _styles(style: str) -> Phrases:
    return _STYLES.get(style, [f"in {_article(style.replace('-', ' '))} way", f"in {_article(style)} manner"])


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _spread(phrases: Iterable[str], styles: Iterable[str], count: int, seed: int) -> list[str]:
    """All subjects, phrases and styles, a number of them drawn."""
    made = [
        f"{s} {p} {style}".strip() for s in ("a person", "someone", "the person") for p in phrases for style in styles
    ]
    draw = random.Random(seed)
    return [m[0].upper() + m[1:] + "." for m in draw.sample(made, min(count, len(made)))]


def of_description(text: str, count: int = 1, seed: int = 0) -> list[str]:
    """Return sentences for a trial's description such as ``walk, 90-degree left turn``; a sentence stays one."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"\(.*?\)", "", text).replace("_", " "))
    text = " ".join(text.strip().rstrip(".").split())
    if re.match(r"(?i)(?:an?|the|this|some\w*|person|he|she|they|man|woman)\b", text):
        return [text[0].upper() + text[1:] + "."]
    topic, dash, rest = text.partition(" - ")
    parts = [p for p in re.split(r"\s*[,;]\s*(?:and\s+)?", (rest if dash else topic).lower()) if p]
    phrases = [spoken for part in parts for spoken in _spoken(part)]
    joined = _joined(phrases) if phrases else "moves"
    return _spread([joined], [f"({topic.lower()})" if dash else ""], count, seed)


_BEFORE_NOUNS = ("or", "and", "the", "a", "to", "left", "right")


def _spoken(part: str) -> Phrases:
    """A piece of a description as verb phrases in the third person."""
    words = part.replace("/", " or ").split()
    change = re.fullmatch(r"(\w+) to (?:quick )?(\w+)", part)
    if change and {change[1], change[2]} <= set(_VERBS):
        return [f"goes from {_article(change[1])} to {_article(change[2])}"]
    turn = re.fullmatch(r"(?:(\d+)-degree )?(left|right) turn(s?)", part)
    if turn:
        degrees = f" of {turn[1]} degrees" if turn[1] else ""
        return [f"makes {'turns' if turn[3] else 'a turn'}{degrees} to the {turn[2]}"]
    if words[0] not in _VERBS:
        slow = words[0] in ("slow", "brisk", "sudden") and words[-1] in _VERBS
        if slow and len(words) == 2:
            return [f"{third(words[-1])} {words[0]}ly"]
        return [f"is {part}" if words[0].endswith("ing") else f"does a motion described as {part}"]
    groups: list[list[str]] = []
    for word in words:
        alone = word in _VERBS and (not groups or groups[-1][-1] not in _BEFORE_NOUNS)
        if alone:
            groups.append([third(word)])
        else:
            groups[-1].append(third(word) if word in _VERBS and groups[-1][-1] in ("or", "and") else word)
    return [" ".join(group) for group in groups]


def third(verb: str) -> str:
    """Return a verb's third person: ``walks``, ``reaches``, ``carries``."""
    if re.search(r"(?:s|x|z|ch|sh|o)$", verb):
        return verb + "es"
    return re.sub(r"([^aeiou])y$", r"\1ie", verb) + "s"
