"""Does a training step ever wait for the windows of a corpus?

Run as ``python benchmarks/loader.py CORPUS [--batch 32] [--frames 64] [--step 0.01] [--steps 200]``. A step sleeps for so many seconds, as one on a GPU
would leave the processor alone; batches are drawn one ahead in a thread, as the training loop does.
"""

import argparse
import statistics
import time

import torch
from common import table

from motif.data.corpus import Corpus
from motif.data.loader import CorpusWindows
from motif.rig_batch import RigBatch
from motif.train import Shard
from motif.train.batches import draw_ahead


def arrays(motions):
    """Rotations and positions, padded to the largest rig."""
    wide = max(len(m.skeleton) for m in motions)
    pads = [(0, 0, 0, wide - len(m.skeleton)) for m in motions]
    return [
        torch.stack([torch.nn.functional.pad(getattr(m, k), pad) for m, pad in zip(motions, pads, strict=True)])
        for k in ("rotations", "positions")
    ]


def features(motions):
    """Features of several rigs, padded."""
    rigs = RigBatch.of([m.skeleton for m in motions])
    return rigs.encode(*(rigs.pad([getattr(m, k) for m in motions]) for k in ("rotations", "positions")), 1 / 30)


def main() -> None:
    """Draw, sleep, and tell how long was waited."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    for name, default in (("batch", 32), ("frames", 64), ("step", 0.01), ("steps", 200)):
        parser.add_argument(f"--{name}", type=type(default), default=default)
    given = parser.parse_args()
    torch.set_num_threads(1)
    corpus, rows = Corpus.open(given.corpus), []
    for name, collate in (("rotations and positions", arrays), ("features of several rigs", features)):
        windows = CorpusWindows(corpus, given.frames)
        begin = time.perf_counter()
        first = len(windows)
        batches = windows.batches(given.batch, collate)
        indexed = time.perf_counter() - begin
        waits = []
        with draw_ahead(lambda k, b=batches: b.draw(torch.Generator(), Shard()), iter(range(given.steps)), 2) as ahead:
            begin = time.perf_counter()
            for _ in ahead:
                waits.append(time.perf_counter() - begin)
                time.sleep(given.step)
                begin = time.perf_counter()
        late = sum(w > 0.001 for w in waits[2:]) / len(waits[2:])
        typical = statistics.median(waits[2:]) * 1000
        rows.append(
            [name, f"{first}", f"{indexed:.2f}", f"{typical:.2f}", f"{max(waits[2:]) * 1000:.0f}", f"{late:.1%}"]
        )
    table(
        ["batches of", "windows in an epoch", "index, s", "median wait, ms", "longest", "steps that waited 1 ms"], rows
    )


if __name__ == "__main__":
    main()
