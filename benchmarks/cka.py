"""Are the early layers of the papers' generators alike two levels apart? Linear CKA of all levels, layer by layer.

Run as ``python benchmarks/cka.py MODEL``; ``MODEL`` is what ``motif fit CLIP --recipe ganimator`` wrote, or another recipe
that copies no layers from level to level, else likeness is put in by hand. The same takes are sent through all levels;
activations are brought to the coarsest level's frames. Two controls stand beside: untrained generators that are shown the
same takes, and those takes themselves. Makes docs/cka.md and docs/images/cka.svg.
"""

import torch
from common import DOCS, options, write
from jaxtyping import Float
from torch import Tensor

import motif
from motif.nets.ganimator import GanimatorPyramid
from motif.nn.layers import LEAKY_SLOPE
from motif.recipes.ganimator import Ganimator, Pyramid

TAKES = 16
HEAD = """# Are the papers' generators alike two levels apart?

The 2024 paper copies the first two layers of the generator two levels below, because it found them alike by linear CKA:
adjacent levels unlike, two apart alike in layers 1 and 2 only.

Made by `python benchmarks/cka.py MODEL` of `{name}` on {clip}, which had {share:.0%} of its schedule. {takes} takes
through all {levels} levels; activations after each layer, brought to the coarsest level's frames. The controls are
untrained generators that are shown the same takes, and the takes alone, as each level gets them.

![CKA of all levels, layer by layer](images/cka.svg)

| layer | trained: one apart | two apart | untrained: one apart | two apart | takes alone: one apart | two apart |
|---|---|---|---|---|---|---|"""


def cka(x: Float[Tensor, "n a"], y: Float[Tensor, "n b"]) -> float:
    """Return the linear centred kernel alignment (Kornblith et al. 2019, eq. 3 with a linear kernel), 0 to 1."""
    x, y = x.double() - x.double().mean(0), y.double() - y.double().mean(0)
    return float((y.T @ x).square().sum() / ((x.T @ x).norm() * (y.T @ y).norm()))


def activations(net: GanimatorPyramid, source: GanimatorPyramid, pyramid: Pyramid) -> list[list[Float[Tensor, "n c"]]]:
    """Return by level what it is given and what its layers make of it, for takes of ``source``."""
    random = torch.Generator().manual_seed(0)
    lengths = [level.real.shape[1] for level in pyramid.levels]
    x, found = torch.zeros(TAKES, pyramid.clip.features.width, lengths[0]), []
    for k, length in enumerate(lengths):
        x = source.upsample(x, length)
        noise = torch.randn(TAKES, 1, length, generator=random) * pyramid.levels[k].amplitude
        layers, seen = net.generator(k).assembled(), [x + noise]
        for n, layer in enumerate(layers):
            made = layer(seen[-1])
            seen.append(made if n == len(layers) - 1 else torch.nn.functional.leaky_relu(made, LEAKY_SLOPE))
        x = source.step(k, x, noise)
        found.append([source.upsample(a, lengths[0]).transpose(1, 2).flatten(0, 1) for a in seen])
    return found


def alike(acts: list[list[Float[Tensor, "n c"]]]) -> Float[Tensor, "layers k k"]:
    """Return the CKA of every two levels: of what they are given, and in each layer."""
    return torch.tensor([[[cka(a[n], b[n]) for b in acts] for a in acts] for n in range(len(acts[0]))])


def square(name: str, values: Float[Tensor, "k k"], left: int, top: int, cell: int = 30) -> str:
    """Return one matrix as SVG."""
    parts = [f'<text x="{left}" y="{top - 8}">{name}</text>']
    for a, row in enumerate(values.tolist()):
        parts.append(f'<text x="{left - 14}" y="{top + a * cell + 19}">{a + 1}</text>')
        for b, v in enumerate(row):
            x, y, ink = left + b * cell, top + a * cell, "white" if v > 0.6 else "#111827"
            parts.append(
                f'<rect x="{x}" y="{y}" width="{cell}" height="{cell}" fill="#1d4ed8" fill-opacity="{v:.3f}"/>'
                f'<text x="{x + 15}" y="{y + 19}" text-anchor="middle" fill="{ink}" font-size="10">{v:.2f}</text>'
            )
    return "".join(parts)


def figure(rows: dict[str, Float[Tensor, "layers k k"]]) -> str:
    """Return a square for each layer, a row for each network."""
    layers, k = next(iter(rows.values())).shape[:2]
    side = 30 * k + 40
    squares = [
        square(f"{name}, layer {n}" if n else f"{name}: given", values[n], 30 + n * side, 50 + r * side)
        for r, (name, values) in enumerate(rows.items())
        for n in range(layers)
    ]
    size = f"{30 + layers * side} {50 + len(rows) * side}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif" font-size="12" '
        f'fill="#374151"><rect width="100%" height="100%" fill="white"/><text x="30" y="22" font-size="15">'
        f"Linear CKA between the generators of all levels</text>{''.join(squares)}</svg>\n"
    )


def main() -> None:
    """Measure and write."""
    given = options(__doc__, "model")
    torch.set_num_threads(1)
    model = motif.Model.load(given.model)
    if not isinstance(model.recipe, Ganimator) or model.recipe.transfer:
        raise SystemExit(f"{model.name} copies layers, or is no GAN of the papers; give ganimator or ablation-0 to -8")
    torch.manual_seed(1)
    fresh = model.recipe.net(model.prepared)
    with torch.no_grad():
        rows = {
            name: alike(activations(net, model.net, model.prepared))
            for name, net in (("trained", model.net), ("untrained", fresh))
        }
    band = {name: [[float(m.diagonal(d).mean()) for d in (1, 2)] for m in values] for name, values in rows.items()}
    lines = [
        f"| {n} | "
        + " | ".join(f"{x:.2f}" for x in (*band["trained"][n], *band["untrained"][n], *band["trained"][0]))
        + " |"
        for n in range(1, len(rows["trained"]))
    ]
    about = {"name": model.name, "clip": model.clips[0].name, "share": model.share}
    text = HEAD.format(**about, takes=TAKES, levels=len(model.prepared.levels))
    print("\n".join(lines))
    write(DOCS / "cka.md", "\n".join([text, *lines]))
    write(DOCS / "images" / "cka.svg", figure(rows))


if __name__ == "__main__":
    main()
