"""What a stream costs: the first pose, the longest wait at the clip's own pace, poses flat out, and memory over time.

Run as ``python benchmarks/stream.py MODEL.safetensors`` or with a clip, which clip-match then streams.
"""

import argparse
import statistics
import time
from pathlib import Path

from motif import api


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("--seconds", type=float, default=10.0, help="at the clip's pace")
    parser.add_argument("--poses", type=int, default=30_000, help="flat out; 216,000 are an hour at 60 a second")
    options = parser.parse_args()
    model = (
        api.Model.load(options.source)
        if options.source.endswith(".safetensors")
        else api.fit("clip-match", api.load(options.source))
    )
    fps = model.clips[0].fps
    for name in ("cold", "warm"):
        stream, start = model.stream(1), time.perf_counter()
        next(stream)
        print(f"first pose, {name}: {(time.perf_counter() - start) * 1e3:.0f} ms")
        stream.close()  # waits for the block that is being made
    stream = model.stream(1)
    next(stream)
    waits, due = [], time.perf_counter()
    for _ in range(round(options.seconds * fps)):
        due += 1 / fps
        start = time.perf_counter()
        next(stream)
        waits.append((time.perf_counter() - start) * 1e3)
        time.sleep(max(due - time.perf_counter(), 0))
    print(f"at {fps:.0f} poses a second: longest wait {max(waits):.2f} ms, median {statistics.median(waits):.4f} ms")
    for turn in range(3):
        start = time.perf_counter()
        for _ in range(options.poses // 3):
            next(stream)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        took = (time.perf_counter() - start) / (options.poses // 3)
        print(
            f"flat out: {took * 1e3:.3f} ms a pose; {pages * 4096 / 1e6:.0f} MB after {(turn + 1) * (options.poses // 3)} poses"
        )


if __name__ == "__main__":
    main()
