"""Edits of the salsa, scored beside unedited takes: figures 5 to 8 of arXiv 2406.01136, trajectories, crowds, times.

Run as ``python benchmarks/edits.py [--recipe clip-match] [--takes 8] [--out docs]``. Clips that are
absent are skipped. Makes edits-RECIPE.md, and pictures of the edits in --pictures if given.
"""

import math
import re
import resource
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import torch
from common import CLIPS, DOCS, clips, numbers, options, table, timed, write

import motif
from motif import metrics
from motif.edit import Constraint, Edit, Trajectory
from motif.motion import Motion
from motif.post.trajectory import sample_trajectory

KEYS = [*metrics.HEADLINE[:6], "seams"]
HEAD = """# Edits, measured ({recipe})

Made by `python benchmarks/edits.py --recipe {recipe} --takes {takes}`: {takes} takes each, seed 1, on two shared cores. Numbers are those of `motif score` against the clips
that the model learned; an edit that asks for what is not in the clip (kept legs under other arms) is less precise by
nature. *Seams*: jumps a minute that the clip never makes. *Edge*: the largest jerk beside a kept piece, of what one frame in
a hundred of the clip exceeds. *Off the trajectory*: mean distance, of its length. *ms a take*: the median of all takes but
the first, once the model is loaded."""
CROWD = """A crowd (figure 7) of {n} takes of 20 s, {frames} frames of {joints} joints each, placed so that none touch: {took:.1f} s, and {most:.1f} GB at most in all of this run."""


def piece(clip: Motion, start: float, stop: float) -> Motion:
    """Return the clip from one second to another."""
    return clip.crop(round(start * clip.fps), round(stop * clip.fps))


def twice(clip: Motion) -> Edit:
    """Keep a spin at 3 and at 12 s of 20, wherever the take has got to."""
    spin, starts = piece(clip, 4, 6.5), (round(t * clip.fps) for t in (3, 12))
    return Edit(20.0, constraints=tuple(Constraint(spin, start=start, world_space=False) for start in starts))


def curve(x: Callable[[float], float], z: Callable[[float], float]) -> Edit:
    """Follow a curve in one turn of an angle."""
    return Edit(trajectory=Trajectory(tuple((x(a), z(a)) for a in (math.tau * k / 80 for k in range(81)))))


STOP = Trajectory(((0, 0), (0, 0.6), (0, 4), (0, 4.6), (0, 4.6), (0, 5.2), (2.5, 7.5)), (0, 1, 3.9, 4.9, 6, 7, 10.2))
EDITS: dict[str, tuple[str, Callable[[Motion], Edit]]] = {
    "unedited": ("salsa", lambda clip: Edit(20.0)),
    "figure 5: lower body kept": ("salsa", lambda clip: Edit.keep(clip, ["lower"])),
    "figure 5b: upper body kept": ("salsa", lambda clip: Edit.keep(clip, ["upper"])),
    "figure 6: a spin twice": ("salsa", twice),
    "in-painting: 8 to 12 s": ("salsa", lambda clip: Edit.inpaint(clip, 8, 12)),
    "in-betweening: 2 s": ("salsa", lambda clip: Edit.inbetween(piece(clip, 0, 5), piece(clip, 14, 19), 2.0)),
    "expansion": ("salsa", lambda clip: Edit.expand(piece(clip, 4, 6.5), 4, 4)),
    "key poses": (
        "salsa",
        lambda clip: Edit.keyframes(
            [(t, clip.crop(k, k + 1)) for t, k in ((3, 300), (9, 700), (15, 1100))], seconds=20.0
        ),
    ),
    "loop": ("salsa", lambda clip: Edit(20.0, loop=True)),
    "figure 8: a walk, proudly": ("proud", lambda clip: Edit.restyle(CLIPS["normal"]()[0])),
    "trajectory: circle of 2 m": (
        "walk both ways",
        lambda clip: curve(lambda a: 2 * math.sin(a), lambda a: 2 - 2 * math.cos(a)),
    ),
    "trajectory: eight of 5 m": (
        "walk both ways",
        lambda clip: curve(lambda a: 2.5 * math.sin(a), lambda a: math.sin(2 * a) / 0.6),
    ),
    "trajectory: stop and go": ("stop and go", lambda clip: Edit(trajectory=STOP)),
}
"""By name: the clips that are learned, and the edit."""


def jerk(motion: Motion) -> torch.Tensor:
    """Return the third difference of position in each frame, mean over joints."""
    return motion.world()[1].diff(n=3, dim=0).norm(dim=-1).mean(-1)


def edge(takes: Sequence[Motion], clip: Motion, edit: Edit) -> float:
    """Return the largest jerk beside kept pieces (half a second outside, three frames inside), of the clip's 99th percentile."""
    found, window = [math.nan], round(0.5 * clip.fps)
    if not edit.constraints or len(edit.constraints[0].motion) >= len(takes[0]):
        return math.nan
    for take in takes:
        j = jerk(take)
        for kept in edit.constraints:
            before = j[max(kept.start - window - 3, 0) : kept.start + 1]
            found += [float(part.max()) for part in (before, j[kept.stop - 3 : kept.stop + window]) if len(part)]
    return max((v for v in found if not math.isnan(v)), default=math.nan) / float(jerk(clip).quantile(0.99))


def off(take: Motion, trajectory: Trajectory) -> float:
    """Return the mean distance from where the root should be (without times: from the trajectory), of its length."""
    root = take.world()[1][:, take.skeleton.root][:, (0, 2)].double()
    timed = trajectory.times is not None
    place = sample_trajectory(trajectory, None, len(take) if timed else 4000, take.frame_time)[0]
    apart = (root - place).norm(dim=1) if timed else torch.cdist(root, place).amin(1)
    return float(apart.mean()) / trajectory.length


def measure(recipe: str, n: int, pictures: str) -> Iterator[list[str]]:
    """Yield the row of each edit."""
    learned = dict(clips(dict.fromkeys(name for name, _ in EDITS.values())))
    models = {name: motif.fit(recipe, several, 1) for name, several in learned.items()}
    for what, (name, make) in EDITS.items():
        if name not in models:
            continue
        edit, times, takes = make(learned[name][0]), [], []
        for seed in range(1, n + 1):
            made, took = timed(lambda name=name, seed=seed, edit=edit: models[name].sample(1, seed=seed, edit=edit))
            takes, times = takes + made, [*times, took]
        report = metrics.report(takes, learned[name])
        values = {**report.physical, **report.headline, "": edge(takes, learned[name][0], edit)}
        apart = "" if edit.trajectory is None else f"{max(off(t, edit.trajectory) for t in takes):.2%}"
        yield [what, *numbers([*KEYS, ""], values), apart, f"{median(times[1:]) * 1000:.0f}"]
        if pictures:
            shown = [c.motion for c in edit.constraints if len(c.motion) > 1] or learned[name][:1]
            motif.show([*shown, *takes[:2]], Path(pictures) / ("-".join(re.findall(r"[\w-]+", what)) + ".png"))


def main() -> None:
    """Measure, print and write."""
    given = options(__doc__, recipe="clip-match", takes=8, crowd=200, pictures="", out=DOCS)
    torch.set_num_threads(1)
    rows = measure(given.recipe, given.takes, given.pictures)
    measured = table(["what", *KEYS, "edge", "off the trajectory", "ms a take"], rows)
    model = motif.fit(given.recipe, CLIPS["salsa"](), 1)
    crowd, took = timed(lambda: model.crowd(given.crowd, 20.0, seed=1))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    joints = len(crowd[0].skeleton)
    words = CROWD.format(n=len(crowd), frames=len(crowd[0]), joints=joints, took=took, most=most)
    print(words)
    if given.pictures:
        motif.show(crowd[:3], Path(given.pictures) / "figure-7.png")
    head = HEAD.format(recipe=given.recipe, takes=given.takes)
    write(given.out / f"edits-{given.recipe}.md", head, measured, words)


if __name__ == "__main__":
    main()
