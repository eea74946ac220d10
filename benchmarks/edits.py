"""Edits of the salsa, scored beside unedited takes: figures 5 to 8 of arXiv 2406.01136, ways, key poses, crowds, times.

Run as ``python benchmarks/edits.py [--engine clip-match] [--takes 8]``. Clips are read from ``../shared/data``, walks that
stop and go from ``.data`` (see CONTRIBUTING.md); what is absent is skipped. Makes docs/edits-ENGINE.md, and pictures of the
figures in --pictures if given.
"""

import argparse
import math
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch
from suite import CLIPS, SHARED

from motif import api, metrics
from motif.edit import Constraint, Edit, Trajectory
from motif.finish import sample_trajectory
from motif.page import number

HOME = Path(__file__).resolve().parent.parent
WALKS = HOME / ".data" / "Bandai-Namco-Research-Motiondataset-2" / "data"
NAMES = ("walk_normal_001", "walk_normal_002", "walk-turn-right_normal_004", "walk-turn-left_normal_004")
KEYS = [*metrics.HEADLINE[:6], "seams"]
HEAD = """# Edits, measured ({engine})

Made by `{command}`: {takes} takes each, seed 1, on two shared cores. Numbers are those of `motif score` against the clips
that the engine learned; an edit that asks for what is not in the clip (kept legs under other arms) is less precise by
nature. *Seams*: jumps a minute that the clip never makes. *Edge*: the largest jerk beside a kept piece, of what one frame in
a hundred of the clip exceeds. *ms a take*: the median of all takes but the first, once the model is loaded.

"""


def edge(takes: Sequence[api.Motion], clip: api.Motion, edit: Edit) -> float:
    """The largest jerk next to kept pieces (half a second outside, three frames inside), of the clip's 99th percentile."""

    def jerk(m: api.Motion) -> torch.Tensor:
        return m.world()[1].diff(n=3, dim=0).norm(dim=-1).mean(-1)

    found, reach = [math.nan], round(0.5 * clip.fps)
    for take in takes:
        j = jerk(take)
        for keep in (
            edit.constraints if len(edit.constraints[:1]) and len(edit.constraints[0].motion) < len(take) else ()
        ):
            before, after = j[max(keep.start - reach - 3, 0) : keep.start + 1], j[keep.stop - 3 : keep.stop + reach]
            found += [float(part.max()) for part in (before, after) if len(part)]
    return max((v for v in found if not math.isnan(v)), default=math.nan) / float(jerk(clip).quantile(0.99))


def strays(take: api.Motion, way: Trajectory) -> float:
    """Mean distance from where the root should be (or, without times, from the way), as a share of its length."""
    root = take.world()[1][:, take.skeleton.root][:, (0, 2)].double()
    place = sample_trajectory(way, None, len(take) if way.times is not None else 4000, take.frame_time)[0]
    apart = (root - place).norm(dim=1) if way.times is not None else torch.cdist(root, place).amin(1)
    return float(apart.mean()) / way.length


def circle(radius: float) -> Trajectory:
    """One round."""
    turns = [2 * math.pi * k / 60 for k in range(61)]
    return Trajectory(tuple((radius * math.sin(a), radius - radius * math.cos(a)) for a in turns))


def eight(size: float) -> Trajectory:
    """A figure of eight."""
    return Trajectory(
        tuple((size * math.sin(a * math.pi / 40), size / 1.5 * math.sin(a * math.pi / 20)) for a in range(81))
    )


STOP = Trajectory(((0, 0), (0, 0.6), (0, 4), (0, 4.6), (0, 4.6), (0, 5.2), (2.5, 7.5)), (0, 1, 3.9, 4.9, 6, 7, 10.2))


class Bench:
    """Lines of the table, as they are measured."""

    def __init__(self, engine: str, takes: int, pictures: Path | None):
        self.engine, self.takes, self.pictures = engine, takes, pictures
        self.lines = [f"| what | {' | '.join(KEYS)} | edge | off the way | ms a take |", "|---" * (len(KEYS) + 4) + "|"]

    def row(self, name: str, clips: list[api.Motion], edit: Edit, model: api.Model, beside: Sequence[api.Motion] = ()):
        """Measure one edit."""
        taken, takes = [], []
        for k in range(self.takes):
            start = time.perf_counter()
            takes += model.sample(1, seed=k + 1, edit=edit)
            taken.append(time.perf_counter() - start)
        report = metrics.report(takes, clips)
        every = {**report.physical, **report.headline}
        off = "" if edit.trajectory is None else f"{max(strays(t, edit.trajectory) for t in takes):.2%}"
        cells = [number(k, every[k]) for k in KEYS] + [number("", edge(takes, clips[0], edit)), off]
        self.lines.append(f"| {name} | {' | '.join(cells)} | {median(taken[1:]) * 1000:.0f} |")
        print(self.lines[-1], flush=True)
        if self.pictures is not None:
            api.show([*beside, *takes[:2]], self.pictures / f"{name.split(':')[0].replace(' ', '-')}.png")

    def fitted(self, clips: list[api.Motion]) -> api.Model:
        """A model of clips."""
        return api.fit(self.engine, clips, 1)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="clip-match", choices=["clip-match", "clip-gan", "clip-flow"])
    parser.add_argument("--takes", type=int, default=8)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench(options.engine, options.takes, options.pictures)
    salsa = CLIPS["salsa"]()
    fps, model = salsa.fps, bench.fitted([salsa])
    spin = salsa.crop(round(4 * fps), round(6.5 * fps))
    twice = tuple(Constraint(spin, start=round(t * fps), world_space=False) for t in (3, 12))
    keys = [(t, salsa.crop(k, k + 1)) for t, k in ((3, 300), (9, 700), (15, 1100))]
    bench.row("unedited", [salsa], Edit(20.0), model)
    bench.row("figure 5: lower body kept", [salsa], Edit.keep(salsa, ["lower"]), model, [salsa])
    bench.row("figure 5b: upper body kept", [salsa], Edit.keep(salsa, ["upper"]), model, [salsa])
    bench.row("figure 6: a spin twice", [salsa], Edit(20.0, constraints=twice), model, [spin])
    bench.row("in-painting: 8 to 12 s", [salsa], Edit.inpaint(salsa, 8, 12), model, [salsa])
    first, second = salsa.crop(0, round(5 * fps)), salsa.crop(round(14 * fps), round(19 * fps))
    bench.row("in-betweening: 2 s", [salsa], Edit.inbetween(first, second, 2.0), model, [first, second])
    bench.row("expansion", [salsa], Edit.expand(spin, 4, 4), model, [spin])
    bench.row("key poses", [salsa], Edit.keyframes(keys, seconds=20.0), model)
    bench.row("loop", [salsa], Edit(20.0, loop=True), model)
    normal, proud = (api.load(SHARED / f"xia-{k}.bvh") for k in ("normal", "proud"))
    bench.row("figure 8: a walk, proudly", [proud], Edit.restyle(normal), bench.fitted([proud]), [normal, proud])
    walk = CLIPS["walk"]()
    walks = [walk, walk.mirror()]
    going = bench.fitted(walks)
    bench.row("way: circle of 2 m", walks, Edit(trajectory=circle(2)), going)
    bench.row("way: eight of 5 m", walks, Edit(trajectory=eight(2.5)), going)
    if WALKS.exists():
        bandai = [api.load(WALKS / f"dataset-2_{name}.bvh") for name in NAMES]
        bandai += [c.mirror() for c in bandai]
        bench.row("way: stop and go", bandai, Edit(trajectory=STOP), bench.fitted(bandai))
    start = time.perf_counter()
    crowd = model.crowd(200, 20.0, seed=1)
    took = time.perf_counter() - start
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    told = (
        f"\nA crowd (figure 7) of {len(crowd)} takes of 20 s, {len(crowd[0])} frames of {len(salsa.skeleton)} joints each, "
        f"placed so that none touch: {took:.1f} s, and {most:.1f} GB at most in all of this run.\n"
    )
    print(told)
    if options.pictures is not None:
        api.show(crowd[:3], options.pictures / "figure-7.png")
    command = f"python benchmarks/edits.py --engine {options.engine} --takes {options.takes}"
    head = HEAD.format(engine=options.engine, command=command, takes=options.takes)
    (HOME / "docs" / f"edits-{options.engine}.md").write_text(head + "\n".join(bench.lines) + "\n" + told)


if __name__ == "__main__":
    main()
