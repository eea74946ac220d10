"""What scoring costs: seconds for all measures, and for the published ones alone, and memory.

Run as ``python benchmarks/scores.py [CLIP]``; the clip that ships with motif is taken if none is given.
"""

import resource

from common import medians, one_clip, options

import motif
from motif import metrics
from motif.metrics import papers


def main() -> None:
    """Measure and print."""
    given = options(__doc__, "clip?", takes=20)
    clip = one_clip(given.clip)
    takes = motif.vary(clip, n=given.takes, seed=1)
    tasks = {
        "all measures": lambda: metrics.report(takes, [clip]),
        "published measures": lambda: papers.measures(takes, [clip]),
    }
    joints = len(clip.skeleton)
    print(f"{clip.name}: {len(takes)} takes of {len(takes[0])} frames at {clip.fps:.0f} fps, {joints} joints")
    for name, took in medians(tasks, 3).items():
        print(f"  {name}: {took:.2f} s (median of 3)")
    print(f"  peak memory, matching included: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


if __name__ == "__main__":
    main()
