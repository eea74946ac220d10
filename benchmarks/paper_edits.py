"""Figures 5 to 8 of arXiv 2406.01136 by a trained GAN of the papers itself: one forward pass each.

Run as ``python benchmarks/paper_edits.py MODEL [--other CLIP] [--takes 8] [--pictures FOLDER]``; ``MODEL`` is what
``motif fit CLIP --recipe paper`` wrote, ``CLIP`` the content that is re-styled (as named in common.py). *Pass*: milliseconds
of the networks alone, one take at a time on one thread. *Kept raw* and *kept*: the largest distance of a kept joint from
where the piece has it, in body heights, before and after the finish. *Edge raw* and *edge*: the largest jerk beside kept
pieces, of what one frame in a hundred of the clip exceeds.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import torch
from common import CLIPS, numbers, options, table, timed
from edits import edge

import motif
from motif import metrics
from motif.edit import Constraint, Edit
from motif.motion import Motion
from motif.recipes.base import PaperRecipe
from motif.request import Request

RAW = motif.SampleConfig(finish="none")
KEYS = ("slip_ratio", "jerk_ratio", "coverage", "precision", "novelty")


def pieces(clip: Motion, *spans: tuple[float, float, float]) -> Edit:
    """Compose a take twice as long as the clip of pieces: from, to and when, in parts of the clip."""
    frames = [tuple(round(x * len(clip)) for x in span) for span in spans]
    kept = tuple(Constraint(clip.crop(a, b), start=at, world_space=False) for a, b, at in frames)
    return Edit(2 * clip.seconds, constraints=kept)


def edits(clip: Motion, content: Motion) -> dict[str, Edit]:
    """Return all edits, by name."""
    long, n = clip.seconds, len(clip)
    keys = {k * long / 2: clip.crop(round(at * n), round(at * n) + 1) for k, at in ((1, 0.2), (2, 0.7), (3, 0.4))}
    return {
        "none": Edit(2 * long),
        "figure 5: lower body kept": Edit.keep(clip, "lower"),
        "figure 5: upper body kept": Edit.keep(clip, "upper"),
        "figure 6: one region twice": pieces(clip, (0.3, 0.6, 0.3), (0.3, 0.6, 1.3)),
        "figure 6: three regions": pieces(clip, (0.6, 0.9, 0.1), (0.1, 0.4, 0.8), (0.4, 0.7, 1.5)),
        "in-painting, equation 5": Edit.inpaint(clip, 0.35 * long, 0.65 * long),
        "expansion": Edit.expand(clip.crop(n // 4, 3 * n // 4), 0.4 * long, 0.4 * long),
        "key frames": Edit.keyframes(keys, 2 * long),
        "figure 8: re-styling": Edit.restyle(content),
    }


def kept_error(take: Motion, edit: Edit) -> float:
    """Return the largest distance of a kept joint from its place, in body heights."""

    def posed(motion: Motion, constraint: Constraint) -> torch.Tensor:
        root, joints = motion.skeleton.root, set(motion.skeleton.select(constraint.joints))
        if not constraint.world_space or root not in joints:  # it is where the take is: poses are compared
            rotations, positions = motion.rotations.clone(), motion.positions.clone()
            rotations[:, root], positions[:, root] = rotations.new_tensor([1.0, 0, 0, 0]), 0.0
            motion = replace(motion, rotations=rotations, positions=positions)
        return motion.world()[1][:, sorted(joints)]

    found = [0.0]
    for c in edit.exact_constraints:
        apart = posed(take.crop(c.start, c.stop), c) - posed(c.motion, c)
        found.append(float(apart.norm(dim=-1).max()) / take.skeleton.height)
    return max(found)


def measure(model: "motif.Model", content: Motion, n: int, pictures: str) -> Iterator[list[str]]:
    """Yield the row of each edit."""
    assert isinstance(model.recipe, PaperRecipe)
    clip = model.clips[0]
    for what, edit in edits(clip, content).items():
        passes = [
            timed(partial(model.recipe.channels, model.net, model.prepared, Request(edit, 1, s))) for s in range(9)
        ]
        whole = [timed(partial(model.sample, 1, seed=seed, edit=edit))[1] for seed in range(3)]
        took = 1000 * median(t for _, t in passes[1:])
        raw, takes = model.sample(n, edit=edit, config=RAW), model.sample(n, edit=edit)
        values, off = metrics.score(takes, [clip]), [max(kept_error(t, edit) for t in some) for some in (raw, takes)]
        kept = [f"{x:.1e}" for x in off] if edit.exact_constraints else ["", ""]
        edges = [f"{x:.2f}" if not math.isnan(x) else "" for x in (edge(some, clip, edit) for some in (raw, takes))]
        times = [f"{took:.1f}", f"{took / len(takes[0]):.3f}", f"{1000 * median(whole):.0f}"]
        yield [what, *times, *kept, *edges, *numbers(KEYS, values)]
        if pictures:
            draw(clip, edit, takes, Path(pictures) / ("-".join(re.findall(r"\w+", what)) + ".png"))


def draw(clip: Motion, edit: Edit, takes: Sequence[Motion], path: Path) -> None:
    """Draw what was asked for and two takes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    asked = [c.motion for c in edit.constraints if len(c.motion) > 1]
    motif.show([*(asked or [clip]), *takes[:2]], path)


def main() -> None:
    """Measure and print."""
    given = options(__doc__, "model", other="proud", takes=8, crowd=20, pictures="")
    torch.set_num_threads(1)
    model = motif.Model.load(given.model)
    heads = ["what", "pass, ms", "a frame", "a take, ms", "kept raw", "kept", "edge raw", "edge", *KEYS]
    print(f"{model.name} on {model.clips[0].name}, {model.share:.3g} of its schedule, takes of twice the clip's length")
    table(heads, measure(model, CLIPS[given.other]()[0], given.takes, given.pictures))
    crowd, took = timed(lambda: model.crowd(given.crowd))
    print(f"figure 7: a crowd of {len(crowd)} takes of {crowd[0].seconds:.1f} s in {took:.1f} s, none touching")
    if given.pictures:
        motif.show(crowd, Path(given.pictures) / "figure-7.png")


if __name__ == "__main__":
    main()
