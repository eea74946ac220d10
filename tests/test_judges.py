"""What motif writes plays in Blender and in three.js as it does in motif: places, times and rates.

Both programs are asked where every joint is, see ``judges/``. They are large, so these tests run where they are found:

- ``MOTIF_BLENDER_PYTHON``: a Python that has Blender as a module (``pip install bpy==4.5.15`` in a Python 3.11);
- ``MOTIF_THREE``: a folder with ``node_modules/three`` (``npm install three@0.187.0``), and ``node`` on the path.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motif import api, rotation
from motif.io import bvh
from motif.motion import FileStyle, Motion
from motif.skeleton import Skeleton

JUDGES = Path(__file__).parent / "judges"
SALSA = Path(__file__).resolve().parents[2] / "shared" / "data" / "clips" / "Salsa-Dancing-6.bvh"
TOLERANCE = 1e-4
"""Share of the body height. Measured: at most 6e-6, which the six decimals of an angle in the file account for."""

Judge = Callable[[Path, list[float]], dict]

ODD = """HIERARCHY
ROOT Hips
{
	OFFSET 3 90 -2
	CHANNELS 6 Yrotation Xposition Zrotation Yposition Xrotation Zposition
	JOINT Chest
	{
		OFFSET 1 25 2
		CHANNELS 3 Xrotation Yrotation Zrotation
		JOINT Bracket
		{
			OFFSET 0 15 -3
			CHANNELS 0
			JOINT Head
			{
				OFFSET 0 10 4
				CHANNELS 3 Zrotation Yrotation Xrotation
				End Site
				{
					OFFSET 1 20 3
				}
			}
			JOINT LeftArm
			{
				OFFSET 18 0 0
				CHANNELS 3 Yrotation Zrotation Xrotation
				JOINT LeftHand
				{
					OFFSET 40 -1 0
					CHANNELS 3 Xrotation Zrotation Yrotation
					End Site
					{
						OFFSET 12 0 2
					}
				}
			}
		}
	}
	JOINT LeftLeg
	{
		OFFSET 10 -5 0
		CHANNELS 3 Yrotation Xrotation Zrotation
		JOINT LeftFoot
		{
			OFFSET 0 -80 1
			CHANNELS 3 Zrotation Xrotation Yrotation
			End Site
			{
				OFFSET 0 -6 12
			}
		}
	}
}
MOTION
Frames: 40
Frame Time: 0.008333
"""


# --- the judges ------------------------------------------------------------------------------------------------------
def ask_blender(path: Path, seconds: list[float]) -> dict:
    python = os.environ.get("MOTIF_BLENDER_PYTHON")
    if not python:
        pytest.skip("set MOTIF_BLENDER_PYTHON to a Python with Blender in it (pip install bpy==4.5.15)")
    return _run([python, JUDGES / "blender_fk.py", path, *seconds])


def ask_three(path: Path, seconds: list[float]) -> dict:
    folder = os.environ.get("MOTIF_THREE")
    if not folder or not shutil.which("node"):
        pytest.skip("install node, npm install three@0.187.0 in a folder and set MOTIF_THREE to it")
    return _run(["node", JUDGES / "three_fk.mjs", folder, path, *seconds])


def _run(command: list) -> dict:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(params=[ask_blender, ask_three], ids=["blender", "three"])
def judge(request: pytest.FixtureRequest) -> Judge:
    return request.param


def some_frames(motion: Motion) -> list[int]:
    """First, last and a dozen in between."""
    return sorted(set(torch.linspace(0, len(motion) - 1, 14).round().int().tolist()))


def differences(motion: Motion, path: Path, judge: Judge) -> tuple[dict[str, float], dict]:
    """How far each joint of the file is in the judge's eyes from where ``motion`` has it, in body heights."""
    s, frames = motion.skeleton, some_frames(motion)
    answer = judge(path, [f * motion.frame_time for f in frames])
    truth = motion.world()[1][frames].double() / motion.style.unit
    far = {}
    for j, name in enumerate(s.names):
        mine = answer["heads"].get(name)
        if s.end[j] and not s.children[j]:
            only = s.children[s.parents[j]] == (j,)
            name = s.names[s.parents[j]]
            mine = answer["tails"].get(name) if only else None
            if mine is None:
                continue
            name += " tip"
        assert mine is not None, f"{name} is not there: {sorted(answer['heads'])}"
        gap = (torch.tensor(mine, dtype=torch.float64) - truth[:, j]).norm(dim=-1)
        far[name] = float(gap.max()) * motion.style.unit / s.height
    return far, answer


def assert_plays(motion: Motion, path: Path, judge: Judge) -> None:
    far, answer = differences(motion, path, judge)
    worst = max(far, key=far.__getitem__)
    print(f"{path.name}: {far[worst]:.1e} of the height at most, at {worst}")
    assert far[worst] < TOLERANCE, f"{worst} is {far[worst]:.1e} body heights off"
    assert len(far) > len(motion.skeleton) / 2
    assert not answer.get("complaints")
    if "fps" in answer:
        assert answer["fps"] == pytest.approx(motion.fps, rel=1e-6)
        assert answer["frames"] == len(motion)
    else:
        assert answer["seconds"] == pytest.approx((len(motion) - 1) * motion.frame_time, rel=1e-6)


# --- clips -----------------------------------------------------------------------------------------------------------
def odd_rig(frame_time: str = "0.008333") -> str:
    """A file with an OFFSET on the root, every Euler order and a joint without channels, whirling about."""
    random = torch.Generator().manual_seed(7)
    rows = (torch.randn(40, 24, generator=random) * 4).cumsum(0) + torch.randn(24, generator=random) * 60
    lines = [" ".join(f"{x:.5f}" for x in row) for row in rows.tolist()]
    return ODD.replace("0.008333", frame_time) + "\n".join(lines) + "\n"


def test_take_of_demo_clip(judge: Judge, tmp_path: Path):
    take = api.vary(api.demo_clip(), n=1, seconds=8, seed=1)[0]
    assert_plays(take, take.save(tmp_path / "take.bvh"), judge)


@pytest.mark.skipif(not SALSA.exists(), reason="the clips of ../shared/data are not here")
def test_take_of_salsa(judge: Judge, tmp_path: Path):
    take = api.vary(api.load(SALSA), n=1, seconds=8, seed=1)[0]
    if judge is ask_three:
        take = plain_names(take)
    assert_plays(take, take.save(tmp_path / "take.bvh"), judge)


@pytest.mark.parametrize("frame_time", ["0.008333", "0.0416667", "0.0333333333"])
def test_odd_rig(judge: Judge, tmp_path: Path, frame_time: str):
    motion = bvh.read(odd_rig(frame_time).encode())
    assert_plays(motion, motion.save(tmp_path / "odd.bvh"), judge)


def test_own_channels(judge: Judge, tmp_path: Path):
    """Without the spelling of a file, as read from glTF, motif chooses the channels."""
    motion = replace(bvh.read(odd_rig().encode()), style=FileStyle())
    assert_plays(motion, motion.save(tmp_path / "own.bvh"), judge)


# --- known differences, so that we hear when they go ------------------------------------------------------------------
def plain_names(motion: Motion) -> Motion:
    """Without the namespace: three.js cannot bind tracks to names with ``[ ] . : /`` in them."""
    names = tuple(n.rsplit(":", 1)[-1] for n in motion.skeleton.names)
    return replace(motion, skeleton=replace(motion.skeleton, names=names))


def all_positions(text: str) -> str:
    """Position channels on every joint, as in the Bandai Namco sets; all hold the joint's OFFSET."""
    motion = bvh.read(text.encode())
    s = motion.skeleton
    rows = [() if s.end[j] else (*POSITIONS, *ROTATIONS) for j in range(len(s))]
    return bvh.write(motion, Path(os.devnull).parent / "x", channels=rows).read_text()
