"""Make the demo clip that ships in the package from CMU 17_10: boxing, the first 516 frames at 30 a second.

Run as ``python tools/make_demo_clip.py 17_10.bvh`` on a conversion of the take's AMC and ASF files to BVH in metres, at
30 frames a second, with the bones' true offsets (cgspeed's conversion has none at neck, shoulders and hands).
A punch after frame 516 is faster than a hand can be, so what follows is left out.
"""

import sys
from dataclasses import replace
from pathlib import Path

from motif import io
from motif.motion import FileFormat

clip = io.load(sys.argv[1]).crop(0, 516)
clip = replace(clip, frame_time=1 / 30, file_format=FileFormat(clip.file_format.channels, 1.0))
io.save(clip, Path(__file__).parents[1] / "src" / "motif" / "assets" / "cmu_17_10.bvh")
