"""A score as one HTML file: verdict, numbers, curves over time, pictures of the worst moments."""

import base64
import html
import math
import tempfile
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor

from ..config import ShowConfig
from ..errors import MotifError
from ..files import replace_file
from ..metrics import HEADLINE, MEANING, Report
from ..motion import Motion
from .sheet import contact_sheet

Curve = tuple[Sequence[float], Sequence[float]]
COLOURS = ("#2563eb", "#ea580c", "#16a34a", "#9333ea", "#0891b2", "#be123c")
TITLES = {
    "slip": "Feet: speed of the standing foot",
    "jerk": "Shake: jerk of all joints",
    "pose": "Poses: error of each second to the nearest one of the clip",
    "rise": "Up and down: speed of the root's fastest rise or fall",
    "held": "Stillness: the longest stretch in which the pose does not change",
}
UNITS = {"slip": "clip's mean = 1", "jerk": "clip's mean = 1", "pose": "tolerance = 1"}
UNITS |= {"rise": "clip's fastest = 1", "held": "seconds"}
SHOWN = 6  # takes whose curves are drawn: those with the worst moments first
POINTS = 600  # of a curve at most


def line_chart(
    lines: Mapping[str, Curve],
    size: tuple[int, int] = (1000, 200),
    levels: Mapping[float, str] = MappingProxyType({}),
    spans: Sequence[tuple[float, float]] = (),
    x_name: str = "s",
    title: str = "",
    colours: Sequence[str] = COLOURS,
) -> str:
    """Return lines as an SVG element of ``size`` pixels.

    ``lines`` has x and y values by name, a NaN breaks a line; ``levels`` are marked by dashed lines with these words,
    ``spans`` of x are shaded, ``x_name`` is the unit of x, ``colours`` are used over and over.
    """
    width, height = size
    left, right, above, below = 44, 12, 34 if title else 20, 22
    points = [(x, y) for xs, ys in lines.values() for x, y in zip(xs, ys, strict=True) if math.isfinite(y)]
    x_low, x_high = min((p[0] for p in points), default=0.0), max((p[0] for p in points), default=1.0)
    peak = max([p[1] for p in points] + [*levels, 1e-9])
    base = min([p[1] for p in points] + [0.0])

    def across(x: float) -> float:
        return left + (x - x_low) / max(x_high - x_low, 1e-9) * (width - left - right)

    def down(y: float) -> float:
        return height - below - (min(y, peak) - base) / max(peak - base, 1e-9) * (height - above - below)

    parts = [f'<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">']
    if title:
        parts.append(f'<text x="{left}" y="13" style="font-weight:600">{html.escape(title)}</text>')
    for start, stop in spans:
        a, b = across(max(start, x_low)), across(min(stop, x_high))
        box = f'x="{a:.1f}" y="{above}" width="{max(b - a, 2):.1f}" height="{height - above - below}"'
        parts.append(f'<rect {box} fill="#f59e0b" opacity=".25"/>')
    for value in (base, (base + peak) / 2, peak):
        y, style = down(value), 'stroke="#9ca3af" stroke-width=".5" opacity=".5"'
        parts.append(f'<path d="M{left} {y:.1f}H{width - right}" {style}/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    for fraction, anchor in ((0, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"), (1, "end")):
        x = x_low + fraction * (x_high - x_low)
        unit = f" {x_name}" if fraction == 1 and x_name else ""
        parts.append(f'<text x="{across(x):.1f}" y="{height - 6}" text-anchor="{anchor}">{x:.3g}{unit}</text>')
    for value, name in levels.items():
        y, style = down(value), 'stroke="#6b7280" stroke-dasharray="4 4"'
        parts.append(f'<path d="M{left} {y:.1f}H{width - right}" {style}/>')
        if name:
            parts.append(f'<text x="{left + 4}" y="{y - 4:.1f}">{html.escape(name)}</text>')
    edge = width - right  # of the names, from the right; the first line lies on top
    for k, (name, (xs, ys)) in reversed(list(enumerate(lines.items()))):
        colour, pieces, pen = colours[k % len(colours)], "", "M"
        for x, y in zip(xs, ys, strict=True):
            pieces += f"{pen}{across(x):.1f} {down(y):.1f}" if math.isfinite(y) else ""
            pen = "L" if math.isfinite(y) else "M"
        parts.append(f'<path d="{pieces}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        if name:
            parts.append(f'<text x="{edge}" y="13" text-anchor="end" style="fill:{colour}">{html.escape(name)}</text>')
            edge -= 8 * len(name) + 12
    return "".join(parts) + "</svg>"


def check(path: str | Path) -> Path:
    """Return the path, if a page can have that name."""
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise MotifError(f"{path}: a report is an HTML page; end the name in .html")
    return Path(path)


def write(
    report: Report, takes: Sequence[Motion], path: str | Path, beside: Mapping[str, Mapping[str, float]] | None = None
) -> Path:
    """Write the page of a report of these takes, with the headlines of others ``beside`` theirs, by name."""
    target, style = check(path), (resources.files("motif") / "assets" / "report.css").read_text(encoding="utf-8")
    rows = {"all takes": report.headline, **dict(zip(report.names, report.takes, strict=True))}
    said = "".join(f"<li>{html.escape(s[0].upper() + s[1:])}.</li>" for s in report.verdict())
    who = f"{len(takes)} takes compare" if len(takes) > 1 else f"{html.escape(report.names[0])} compares"
    meaning = "".join(f'<tr><td>{k}</td><td class="note">{html.escape(v)}</td></tr>' for k, v in MEANING.items())
    groups = {"physical": report.physical, "realism": report.realism, "published": report.published}
    measures = "".join(
        f'<tr><td>{group}</td><td class="note">{key}</td><td>{number(key, value)}</td></tr>'
        for group, values in groups.items()
        for key, value in values.items()
    )
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>motif score</title><style>\n{style}</style><body>"
        f"<h1>How {who} with the clip</h1><ul>{said}</ul><h2>Numbers</h2>{_table(rows)}"
        f'<table class="quiet">{meaning}</table>{_charts(report)}{_pictures(report, takes)}'
        f"<h2>All measures</h2><table>{measures}</table>"
    )
    if beside:
        text += "<h2>The same numbers for what is worthless</h2>"
        text += f"<p>A good take must beat each of these somewhere.</p>{_table(beside)}"
    replace_file(target, lambda new: new.write_text(f"{text}</body></html>", encoding="utf-8"))
    return target


def number(key: str, value: float) -> str:
    """Return a measure as people read it: fractions in per cent, ratios with two places, n/a for NaN."""
    if math.isnan(value):
        return "n/a"
    percent = key.split("@")[0] in ("coverage", "precision", "novelty", "variety", "bent")
    return f"{value:.0%}" if percent else f"{value:.2f}"


def _table(rows: Mapping[str, Mapping[str, float]]) -> str:
    text = f"<tr><th></th>{''.join(f'<th>{k}</th>' for k in HEADLINE)}</tr>"
    for name, row in rows.items():
        cells = "".join(f"<td>{number(k, row[k]) if k in row else ''}</td>" for k in HEADLINE)
        text += f"<tr><td>{html.escape(name)}</td>{cells}</tr>"
    return f'<div class="wide"><table>{text}</table></div>'


def _charts(report: Report) -> str:
    text = ""
    for moment in sorted(report.moments, key=lambda m: list(TITLES).index(m.measure)):
        measure, curves = moment.measure, [c[moment.measure] for c in report.curves if moment.measure in c]
        if not curves:
            continue
        peaks = [float(torch.nan_to_num(c).max()) for c in curves]
        worst = sorted(range(len(curves)), key=lambda k: (k != moment.take, -peaks[k]))[:SHOWN]
        lines = {report.names[k]: _thin(curves[k], report.frame_time) for k in worst}
        levels = {1.0: ""} | ({report.peaks[measure]: "the clip's own peak"} if measure in report.peaks else {})
        chart = line_chart(lines, levels=levels, spans=[(moment.start, moment.stop)])
        note = f"<figcaption>{UNITS[measure]}; shaded: the worst moment, in {report.names[worst[0]]}.</figcaption>"
        text += f"<h2>{TITLES[measure]}</h2><figure>{chart}{note}</figure>"
    return text


def _thin(curve: Float[Tensor, "t"], frame_time: float) -> tuple[list[float], list[float]]:
    """Times and the largest value around each, for at most ``POINTS`` points."""
    step = max(-(-len(curve) // POINTS), 1)
    padded = torch.nn.functional.pad(curve, (0, -len(curve) % step), value=torch.nan).unflatten(0, (-1, step))
    top = torch.nan_to_num(padded, nan=-torch.inf).amax(1)
    return (torch.arange(len(top)) * step * frame_time).tolist(), top.masked_fill(top.isinf(), torch.nan).tolist()


def _pictures(report: Report, takes: Sequence[Motion]) -> str:
    text = "<h2>The worst moments</h2>"
    for moment in report.moments:
        take, middle = takes[moment.take], (moment.start + moment.stop) / 2
        start = max(min(round((middle - 0.5) * take.fps), len(take) - round(take.fps)), 0)
        second = take.crop(start, min(start + round(take.fps), len(take)))
        with tempfile.TemporaryDirectory() as folder:
            picture = contact_sheet(second, f"{folder}/x.png", ShowConfig(poses=10))
            data = base64.b64encode(picture.read_bytes()).decode()
        words = f"{TITLES[moment.measure]}: {moment.times:.1f} ({UNITS[moment.measure]})"
        where = f"{moment.start:.1f} s to {moment.stop:.1f} s of {html.escape(take.name)}"
        caption = f"<figcaption>{words}, {where}; the picture begins at {start * take.frame_time:.1f} s.</figcaption>"
        text += f'<figure><img alt="{words}" src="data:image/png;base64,{data}">{caption}</figure>'
    return text
