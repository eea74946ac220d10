"""Seeded fuzzer of the BVH reader: broken files must give a MotifError, quickly, and nothing else.

Run as ``python tests/bvh_fuzz.py --count 100000 --seed 0``. A failing text is printed with its number; the same seed
and number give the same text again (``--only NUMBER``).
"""

import argparse
import random
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

from motif.errors import MotifError
from motif.io import bvh

SLOW = 1.0
"""Seconds that no file may take."""
ORDERS = ("XYZ", "ZXY", "ZYX", "YXZ", "XZY", "YZX")
NUMBERS = (
    *("nan", "NaN", "inf", "-Infinity", "1e999", "-1e308", "1e9", "0", "-0.0", "1e-320", "0,5", "1.2.3", "--1", "1e"),
    *(
        "+.5",
        "0x10",
        "1_000",
        "\u0663",
        "\uff11",
        "abc",
        "null",
        "-",
        ".",
        "9" * 400,
        "1d5",
        "9" * 20,
        "-1",
        "3.0",
        "1;2",
    ),
    "\x00",
)
TOKENS = (
    *("{", "}", "{{", "}}", "ROOT", "JOINT", "End Site", "End", "OFFSET", "CHANNELS", "CHANNELS 0", "CHANNELS 3"),
    *("MOTION", "HIERARCHY", "Frames:", "Frames: 0", "Frames: 1000000000000", "Frame Time:", "Frame Time: 0"),
    *("Xposition", "Zrotation", "Xscale", "Wrotation", "<html>", "#", "//", "ROOT Hips", "JOINT Hips"),
    *("\t", "\v", "\f", "\x85", "\u2028", "\ufeff", "\xe9"),
)


def rig(rng: random.Random) -> str:
    """A small valid file: a random tree, random channels, a few frames."""
    lines, widths = ["HIERARCHY"], [0]
    plain = ["Spine", "Head", "LeftFoot", "RightFoot", "mixamorig:Arm", "Tail.001", "Left Toe"]
    names = iter([name + end for end in ("", "2", "3") for name in rng.sample(plain, 7)])

    def joint(depth: int) -> None:
        tab = "\t" * depth
        root = depth == 0
        lines.extend([tab + ("ROOT Hips" if root else f"JOINT {next(names)}"), tab + "{"])
        lines.append(
            f"{tab}\tOFFSET {rng.uniform(-9, 9):.3f} {rng.uniform(-99, 99):.3f} {rng.choice(['0', '0.0', '-1.5'])}"
        )
        order = [a + "rotation" for a in rng.choice(ORDERS)][: rng.choice((3, 3, 3, 3, 2, 1, 0))]
        places = ["Xposition", "Yposition", "Zposition"] if rng.random() < (0.9 if root else 0.2) else []
        channels = places + order if rng.random() < 0.8 else order + places
        if channels or rng.random() < 0.5:
            lines.append(f"{tab}\tCHANNELS {len(channels)} {' '.join(channels)}".rstrip())
        widths[0] += len(channels)
        for _ in range(rng.choice((0, 1, 1, 2)) if depth < 3 and len(lines) < 24 else 0):
            joint(depth + 1)
        if rng.random() < 0.6:
            lines.extend([f"{tab}\tEnd Site", f"{tab}\t{{", f"{tab}\t\tOFFSET 0 1 0", f"{tab}\t}}"])
        lines.append(tab + "}")

    joint(0)
    frames = rng.choice((1, 2, 3, 5))
    lines.extend(["MOTION", f"Frames: {frames}", f"Frame Time: {rng.choice(['0.033333', '0.01', '1e-2', '.0083333'])}"])
    for _ in range(frames):
        lines.append(" ".join(f"{rng.uniform(-180, 180):.{rng.choice((0, 2, 6))}f}" for _ in range(widths[0])))
    return "\n".join(lines) + "\n"


def _edit_token(text: str, rng: random.Random, new: str | None) -> str:
    """One word replaced, or removed or doubled if ``new`` is None."""
    spots = [i for i in range(len(text) - 1) if text[i].isspace() and not text[i + 1].isspace()]
    if not spots:
        return text
    start = rng.choice(spots) + 1
    stop = start
    while stop < len(text) and not text[stop].isspace():
        stop += 1
    word = text[start:stop]
    return (
        text[:start]
        + (rng.choice(["", word + " " + word, word.lower(), word.upper()]) if new is None else new)
        + text[stop:]
    )


def _edit_line(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    i, k = rng.randrange(len(lines)), rng.randrange(len(lines))
    action = rng.randrange(6)
    if action == 0:
        del lines[i]
    elif action == 1:
        lines.insert(k, lines[i])
    elif action == 2:
        lines[i], lines[k] = lines[k], lines[i]
    elif action == 3:
        lines[i] = lines[i][: rng.randrange(len(lines[i]) + 1)]
    elif action == 4:
        lines[i : i + 2] = [" ".join(lines[i : i + 2])]
    else:
        lines[i:i] = lines[i : k + 1] * rng.choice((1, 2, 20))
    return "\n".join(lines)


def _edit_text(text: str, rng: random.Random) -> str:
    action = rng.randrange(9)
    if action == 0:
        return text[: rng.randrange(len(text) + 1)]
    if action == 1:
        return text[rng.randrange(len(text) + 1) :]
    if action == 2:
        return text + rng.choice((text, "\n" * 50, "garbage", " ", "\n0 0 0\n", "}"))
    if action == 3:
        return text.replace("\n", rng.choice(("\r\n", "\r", "\n\n", " \n", "\n\t", " ")))
    if action == 4:
        return text.replace(" ", rng.choice(("\t", "   ", "\xa0", ",")))
    if action == 5:
        return rng.choice((text.lower(), text.upper(), text.title(), text.swapcase()))
    if action == 6:
        deep = rng.choice((50, 1000, 3000))
        return text.replace("{", "{\nOFFSET 0 1 0\n" + "".join(f"JOINT n{i} {{ OFFSET 0 1 0\n" for i in range(deep)), 1)
    if action == 7:
        return text.replace(
            "End Site", rng.choice(("end site", "EndSite", "End", "END SITE", "End Site Hips", "JOINT Hips"))
        )
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(TOKENS) * rng.choice((1, 1, 2, 30)) + text[at:]


def _edit_bytes(raw: bytes, rng: random.Random) -> bytes:
    data = bytearray(raw)
    for _ in range(rng.choice((1, 1, 3, 20))):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
    return rng.choice(
        (
            bytes(data),
            b"\xef\xbb\xbf" + raw,
            raw.decode("utf-8").encode("utf-16"),
            raw.replace(b"e", b"\xe9"),
            bytes(data),
        )
    )


def mutant(number: int, seed: int) -> bytes:
    """The file with this number: valid, or broken in one to three ways."""
    rng = random.Random(seed * 1_000_003 + number)
    text = rig(rng)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        kind = rng.randrange(10)
        if kind < 3:
            text = _edit_token(text, rng, rng.choice(NUMBERS))
        elif kind < 5:
            text = _edit_token(text, rng, rng.choice((*TOKENS, None, None)))
        elif kind < 8:
            text = _edit_line(text, rng)
        else:
            text = _edit_text(text, rng)
    raw = text.encode("utf-8", "surrogatepass")
    return _edit_bytes(raw, rng) if rng.random() < 0.12 else raw


@dataclass
class Report:
    """What became of the files."""

    counts: Counter = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    messages: Counter = field(default_factory=Counter)
    """How often each kind of refusal came, by its words without numbers and names."""


def check(raw: bytes) -> tuple[str, str]:
    """What reading gives: ``read``, ``refused`` with the message, or ``CRASHED`` with the exception."""
    try:
        bvh.parse(raw)
    except MotifError as error:
        return "refused", str(error)
    except Exception as error:  # noqa: BLE001 -- anything else is what the fuzzer looks for
        return "CRASHED", f"parse: {type(error).__name__}: {error}"
    try:
        motion = bvh.read(raw)
    except MotifError as error:
        return "refused", str(error)
    except Exception as error:  # noqa: BLE001
        return "CRASHED", f"read: {type(error).__name__}: {error}"
    if not bool(motion.rotations.isfinite().all() and motion.positions.isfinite().all()):
        return "CRASHED", "the motion is not finite"
    return "read", ""


def run(numbers: Iterator[int] | range, seed: int = 0) -> Report:
    """Read the files with these numbers."""
    report = Report()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in numbers:
            raw = mutant(number, seed)
            start = time.thread_time()  # not the wall: the machine may be busy with something else
            outcome, message = check(raw)
            took = time.thread_time() - start
            report.slowest = max(report.slowest, took)
            report.counts[outcome] += 1
            if outcome == "refused":
                report.messages[message.split("; ")[-1][:60]] += 1
                if not message.startswith("<text>:"):
                    outcome, message = "CRASHED", f"message without a place: {message}"
            if outcome == "CRASHED" or took > SLOW:
                report.failures.append(f"number {number} seed {seed} ({took:.2f} s): {message}")
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="print this file and what reading it gives")
    parser.add_argument("--messages", action="store_true", help="count the refusals by their remedy")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.only is not None:
        raw = mutant(options.only, options.seed)
        sys.stdout.write(raw.decode("utf-8", "backslashreplace") + "\n")
        print(*check(raw))
        return 0
    start = time.perf_counter()
    report = run(range(options.count), options.seed)
    took = time.perf_counter() - start
    print(f"{options.count} files, seed {options.seed}, {took:.0f} s, slowest {report.slowest * 1e3:.0f} ms")
    print(", ".join(f"{n} {what}" for what, n in sorted(report.counts.items())), f"; {len(report.failures)} failures")
    for failure in report.failures[:20]:
        print(" ", failure)
    if options.messages:
        for remedy, n in report.messages.most_common():
            print(f"{n:8d}  {remedy}")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
