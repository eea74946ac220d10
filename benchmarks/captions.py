"""Captions: do measured facts agree with 100 clips labelled by hand, and do rewritten captions keep their facts?

    python benchmarks/captions.py [--rewrites 10] [--seed 0] [--online]

The labels (``tests/cases/caption_labels.json``) are what the names of Bandai Namco's clips and CMU's descriptions fix:
direction of travel, side of a turn, which hand, how many jumps. Rewrites are those of the offline grammar, or with
``--online`` of the endpoint in the environment (MOTIF_LLM_URL, MOTIF_LLM_MODEL, MOTIF_LLM_KEY), judged by ``check`` and by a
second judge that knows nothing of it: the bare words left, right, forward, backward and numbers.
"""

import collections
import json
import random
import re
from pathlib import Path

import torch
from common import DATA, HERE, options

import motif
from motif.curate import captions, rewrite
from motif.curate.claims import NUMBERS, check
from motif.curate.facts import Facts, facts

LABELS = HERE.parent / "tests" / "cases" / "caption_labels.json"
SIDEWAYS = ("left", "right")


def measured(found: Facts, what: str) -> str | int:
    """Return what was measured of a labelled thing."""
    return {"direction": found.direction, "turn": found.turn_side, "arms": found.arms, "jumps": found.jumps}[what]


def agrees(what: str, label: str | int, value: str | int) -> bool:
    """Return whether a measured fact is what the label says; a diagonal way to the left is one to the left."""
    if what == "direction" and label in SIDEWAYS:
        return str(label) in str(value).split()
    if label == "sideways":
        return value in SIDEWAYS
    return label == value


def bare(text: str) -> collections.Counter[str]:
    """The second judge: sides, directions and numbers as bare words, spelled one way."""
    words = re.findall(r"[a-z]+|\d+", text.lower())
    same = {
        "forwards": "forward",
        "ahead": "forward",
        "backwards": "backward",
        "once": "1",
        "twice": "2",
        "thrice": "3",
    }
    spelled = (same.get(w, str(NUMBERS.get(w, w))) for w in words if w != "one" or "one time" not in text)
    kept = collections.Counter(w for w in spelled if w in ("left", "right", "forward", "backward") or w.isdigit())
    if re.search(r"\b(?:one|single) time\b", text.lower()):
        kept["1"] += 1
    return kept


def agreement(rows: list[dict]) -> list[Facts]:
    """Print how many clips agree with their labels, and those that do not."""
    per: dict[str, list[int]] = {}
    wrong, kept = [], []
    for row in rows:
        found = facts(motif.load(DATA / row["clip"]))
        kept.append(found)
        good = True
        for what, label in row.items():
            if what == "clip":
                continue
            value = measured(found, what)
            ok = agrees(what, label, value)
            count = per.setdefault(f"{what} {label}", [0, 0])
            count[0], count[1], good = count[0] + ok, count[1] + 1, good and ok
            if not ok:
                wrong.append(f"{Path(row['clip']).stem}: {what} is labelled {label}, measured {value or 'none'} "
                             f"(turn {found.turn:.0f}, left {found.turned_left:.0f}, right {found.turned_right:.0f})")  # fmt: skip
        row["good"] = good
    print("| fact | agree | of |\n|---|---|---|")
    for name, (ok, of) in sorted(per.items()):
        print(f"| {name} | {ok} | {of} |")
    print(f"| **clips with all facts right** | **{sum(r['good'] for r in rows)}** | **{len(rows)}** |")
    print("\n".join(wrong))
    return kept


def rewrites(texts: list[str], count: int, seed: int, online: bool) -> None:
    """Print the share of rewrites that keep the claims, by both judges."""
    if online:
        maker = rewrite.Rewriter(
            rewrite.Endpoint.from_environment(), DATA / "rewrites.jsonl", lambda p: print(p, end="\r")
        )
        made = maker.rewrite(texts, count, seed)
    else:
        made = [captions.rewrite(text, count, seed) for text in texts]
    pairs = [(text, said) for text, several in zip(texts, made, strict=True) for said in several]
    kept = sum(not check(text, said) for text, said in pairs)
    plain = sum(bare(text) == bare(said) for text, said in pairs)
    print(f"\n{len(texts)} captions, {len(pairs)} of {count * len(texts)} rewrites made, "
          f"{len(set(pairs)) / max(len(pairs), 1):.1%} of them different")  # fmt: skip
    print(f"keep their facts: {kept / max(len(pairs), 1):.1%} by check, {plain / max(len(pairs), 1):.1%} by bare words")
    for text, said in [p for p in pairs if bare(p[0]) != bare(p[1])][:5]:
        print(f"  {text} -> {said}")


def main() -> None:
    """Print both tables."""
    torch.set_num_threads(1)
    given = options(__doc__, rewrites=10, seed=0, online=False)
    rows = [r for r in json.loads(LABELS.read_text()) if (DATA / r["clip"]).exists()]
    if not rows:
        raise SystemExit(f"none of the labelled clips is in {DATA}; unpack bandai-namco and cmu-mocap there")
    found = agreement(rows)
    own = sorted({captions.sentences(f, 1, given.seed)[0] for f in found})
    written = []
    if (file := DATA / "cmu-mocap" / "captions.jsonl").exists():
        lines = map(json.loads, file.read_text().splitlines())
        written = sorted({row["text"] for row in lines if row["source"] == "humanml3d"})
        written = [t for t in written if captions.check(t, "")]  # those that claim something
    draw = random.Random(given.seed)
    texts = draw.sample(own, min(50, len(own))) + draw.sample(written, min(50, len(written)))
    rewrites(texts, given.rewrites, given.seed, given.online)


if __name__ == "__main__":
    main()
