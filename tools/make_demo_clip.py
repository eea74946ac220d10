"""Make the demo clip that ships in the package from CMU 01_01.

Its source is ``/usr/share/assimp/models/BVH/01_01.bvh`` of Debian's package ``assimp-testmodels``:
``python tools/make_demo_clip.py 01_01.bvh``. Frame 0 is a T-pose and is dropped; 120 frames a second become 30.
"""

import sys
from dataclasses import replace
from pathlib import Path

from motif import io
from motif.motion import FileFormat

clip = io.load(sys.argv[1]).crop(1).resample(30)
clip = replace(clip, frame_time=1 / 30, file_format=FileFormat(clip.file_format.channels, 1.0))
io.save(clip, Path(__file__).parents[1] / "src" / "motif" / "assets" / "cmu_01_01.bvh")
