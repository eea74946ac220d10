"""What a stream costs: the first pose, the longest wait at the clip's own rate, poses flat out, and memory over time.

Run as ``python benchmarks/stream.py MODEL.safetensors [--seconds 10] [--poses 30000]`` or with a clip, which clip-match
then streams: seconds at the clip's rate, then poses flat out (216,000 are an hour at 60 a second).
"""

import statistics
import time
from pathlib import Path

from common import options, timed

import motif


def main() -> None:
    """Measure and print."""
    given = options(__doc__, "source", seconds=10.0, poses=30_000)
    trained = given.source.endswith(".safetensors")
    model = motif.Model.load(given.source) if trained else motif.fit("clip-match", motif.load(given.source))
    for name in ("cold", "warm"):
        stream = model.stream(1)
        print(f"first pose, {name}: {timed(lambda stream=stream: next(stream))[1] * 1e3:.0f} ms")
        stream.close()  # waits for the block that is being made
    stream, waits, interval = model.stream(1), [], model.domain.frame_time
    next(stream)
    due = time.perf_counter()
    for _ in range(round(given.seconds / interval)):
        due += interval
        waits.append(timed(lambda: next(stream))[1] * 1e3)
        time.sleep(max(due - time.perf_counter(), 0))
    wait = f"longest wait {max(waits):.2f} ms, median {statistics.median(waits):.4f} ms"
    print(f"at {1 / interval:.0f} poses a second: {wait}")
    part = given.poses // 3
    for turn in range(1, 4):
        took = timed(lambda: [next(stream) for _ in range(part)])[1] / part
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        print(f"flat out: {took * 1e3:.3f} ms a pose; {pages * 4096 / 1e6:.0f} MB after {turn * part} poses")


if __name__ == "__main__":
    main()
