"""Are the early layers of the papers' generators alike two levels apart? Linear CKA of all levels, layer by layer.

Run as ``python benchmarks/cka.py CLIP [--preset ablation-8] [--minutes 20]``. The preset must not transfer layers between
levels, else likeness is put in by hand. Every level gets the same share of its published samples; the same takes are sent
through all levels, activations are brought to the coarsest level's frames, and untrained generators stand beside as a
control. Makes docs/cka.md and docs/images/cka.svg.
"""

import argparse
import copy
import time
from pathlib import Path

import torch
from ablation import seconds_a_step
from jaxtyping import Float
from torch import Tensor

from motif import api, parallel, resample
from motif.nets.clip_gan import PaperPyramid
from motif.recipes.ganimator import PRESETS, Ganimator, Scales, step

DOCS = Path(__file__).resolve().parent.parent / "docs"
TAKES = 16
HEAD = """# Are the papers' generators alike two levels apart?

The 2024 paper copies the first two layers of the generator two levels below, because it found them alike by linear CKA
(section 3.4 of the reference: adjacent levels unlike, two apart alike in layers 1 and 2 only).

Made by `{command}`: the preset `{preset}` (no transfer), {share} of its published samples, {minutes:.0f} minutes on one thread.
{takes} takes through all {levels} levels; activations after each layer, brought to the coarsest level's frames. The
control is untrained generators that are shown the same takes.

![CKA of all levels, layer by layer](images/cka.svg)

| layer | {columns} |
|---|---|---|---|---|
"""


def cka(x: Float[Tensor, "n a"], y: Float[Tensor, "n b"]) -> float:
    """Linear centred kernel alignment (Kornblith et al. 2019, eq. 3 with a linear kernel), 0 to 1."""
    x, y = x.double() - x.double().mean(0), y.double() - y.double().mean(0)
    return float((y.T @ x).square().sum() / ((x.T @ x).norm() * (y.T @ y).norm()))


def activations(net: PaperPyramid, source: PaperPyramid, scales: Scales) -> list[list[Float[Tensor, "n c"]]]:
    """By level and layer: what the layers give for the takes of ``source``, at the coarsest level's frames."""
    random = torch.Generator().manual_seed(0)
    lengths = [level.real[0].shape[1] for level in scales.levels]
    x, found = torch.zeros(TAKES, scales.features.width, lengths[0]), []
    for k, length in enumerate(lengths):
        x = resample.resize(x.transpose(1, 2), length, antialias=False).transpose(1, 2)
        noise = torch.randn(TAKES, 1, length, generator=random) * scales.levels[k].amplitude[0]
        seen: list[Tensor] = []
        hooks = [
            layer.register_forward_hook(lambda _m, _i, out, seen=seen: seen.append(out.detach().float()))
            for layer in net.generators[k].layers
        ]
        with torch.no_grad():
            step(net, k, x, noise)
        for hook in hooks:
            hook.remove()
        with torch.no_grad():
            x = step(source, k, x, noise)
        acts = [a if n == len(seen) - 1 else torch.nn.functional.leaky_relu(a, 0.2) for n, a in enumerate(seen)]
        found.append([resample.resize(a.transpose(1, 2), lengths[0]).flatten(0, 1) for a in acts])
    return found


def alike(net: PaperPyramid, source: PaperPyramid, scales: Scales) -> Float[Tensor, "layers k k"]:
    """CKA of every two levels in each layer."""
    acts = activations(net, source, scales)
    levels, layers = len(acts), len(acts[0])
    out = torch.eye(levels).repeat(layers, 1, 1)
    for layer in range(layers):
        for a in range(levels):
            for b in range(a):
                out[layer, a, b] = out[layer, b, a] = cka(acts[a][layer], acts[b][layer])
    return out


def figure(rows: dict[str, Float[Tensor, "layers k k"]]) -> str:
    """A square a layer, a row a network."""
    cell, gap = 30, 40
    k, layers = next(iter(rows.values())).shape[1], len(next(iter(rows.values())))
    side, parts = cell * k, []
    for r, (name, values) in enumerate(rows.items()):
        for layer in range(layers):
            left, top = 30 + layer * (side + gap), 50 + r * (side + gap)
            parts.append(f'<text x="{left}" y="{top - 8}">{name}, layer {layer + 1}</text>')
            for a in range(k):
                parts.append(f'<text x="{left - 14}" y="{top + a * cell + 19}">{a + 1}</text>')
                for b in range(k):
                    v = float(values[layer, a, b])
                    ink = "white" if v > 0.6 else "#111827"
                    x, y = left + b * cell, top + a * cell
                    parts.append(
                        f'<rect x="{x}" y="{y}" width="{cell}" height="{cell}" fill="#1d4ed8" fill-opacity="{v:.3f}"/>'
                        f'<text x="{x + 15}" y="{y + 19}" text-anchor="middle" fill="{ink}" font-size="10">{v:.2f}</text>'
                    )
    size = f"{30 + layers * (side + gap)} {50 + len(rows) * (side + gap)}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif" font-size="12" '
        f'fill="#374151"><rect width="100%" height="100%" fill="white"/><text x="30" y="22" font-size="15">'
        f"Linear CKA between the generators of all levels</text>{''.join(parts)}</svg>\n"
    )


def band(values: Float[Tensor, "k k"], apart: int) -> float:
    """Mean over pairs of levels this far apart."""
    return float(values.diagonal(apart).mean())


def main() -> None:
    """Train, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("--preset", choices=[p for p, r in PRESETS.items() if not r.transfer], default="ablation-8")
    parser.add_argument("--minutes", type=float, default=20.0)
    options = parser.parse_args()
    clip, recipe = api.load(options.clip), PRESETS[options.preset]
    with parallel.single_thread():
        scales = recipe.prepare([clip])
        plan = recipe.plan(scales)
        full = sum(s * steps for s, (_, steps) in zip(seconds_a_step(recipe, clip), plan, strict=True))
    share = min(options.minutes * 60 / full, 1.0)
    samples = tuple(max(round(steps * share), 1) * recipe.batch for _, steps in plan)
    start = time.perf_counter()
    model = api.fit(options.preset, clip, 1, samples=samples)
    took = (time.perf_counter() - start) / 60
    trained = model.net
    assert isinstance(model.recipe, Ganimator)
    assert isinstance(trained, PaperPyramid)
    torch.manual_seed(1)
    fresh = copy.deepcopy(model.recipe.net(scales))
    with parallel.single_thread():
        rows = {"trained": alike(trained, trained, scales), "untrained": alike(fresh, trained, scales)}
    columns = ["trained: one apart", "two apart", "untrained: one apart", "two apart"]
    text = HEAD.format(
        command=f"python benchmarks/cka.py CLIP --preset {options.preset} --minutes {options.minutes:g}",
        preset=options.preset,
        share=f"{share:.1%}",
        minutes=took,
        takes=TAKES,
        levels=len(scales.levels),
        columns=" | ".join(columns),
    )
    for layer in range(len(rows["trained"])):
        cells = [f"{band(rows[name][layer], apart):.2f}" for name in rows for apart in (1, 2)]
        text += f"| {layer + 1} | {' | '.join(cells)} |\n"
    (DOCS / "cka.md").write_text(text)
    (DOCS / "images" / "cka.svg").write_text(figure(rows))
    print(text)


if __name__ == "__main__":
    main()
