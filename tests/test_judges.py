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

from motif import api, io
from motif.io import bvh
from motif.io.bvh_text import POSITIONS, ROTATIONS
from motif.motion import FileFormat, Motion
from motif.rig_guess import guess_rig

JUDGES = Path(__file__).parent / "judges"
SALSA = Path(__file__).resolve().parents[2] / "shared" / "data" / "clips" / "Salsa-Dancing-6.bvh"
TOLERANCE = 1e-4
"""Share of the body height. Measured with bpy 4.5.15 and three r187: at most 8e-7, and 3e-6 on a dragon."""

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
    truth = motion.world()[1][frames].double() / motion.file_format.unit
    far = {}
    for j, name in enumerate(s.names):
        mine = answer["heads"].get(name)
        if s.end[j] and not s.children[j]:
            if s.children[s.parents[j]] != (j,) or s.chain_length[s.parents[j]] < 0.002 * motion.file_format.unit:
                continue  # Blender has one tail a bone, and gives bones of no length some
            name = s.names[s.parents[j]]
            mine = answer["tails"].get(name)
            name += " tip"
        assert mine is not None, f"{name} is not there: {sorted(answer['heads'])}"
        gap = (torch.tensor(mine, dtype=torch.float64) - truth[:, j]).norm(dim=-1)
        far[name] = float(gap.max()) * motion.file_format.unit / s.height
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
    assert_plays(take, io.save(take, tmp_path / "take.bvh"), judge)


@pytest.mark.skipif(not SALSA.exists(), reason="the clips of ../shared/data are not here")
def test_take_of_salsa(judge: Judge, tmp_path: Path):
    take = api.vary(api.load(SALSA), n=1, seconds=8, seed=1)[0]
    if judge is ask_three:
        take = plain_names(take)
    assert_plays(take, io.save(take, tmp_path / "take.bvh"), judge)


@pytest.mark.parametrize("frame_time", ["0.008333", "0.0416667", "0.0333333333"])
def test_odd_rig(judge: Judge, tmp_path: Path, frame_time: str):
    motion = bvh.read(odd_rig(frame_time).encode())
    assert_plays(motion, io.save(motion, tmp_path / "odd.bvh"), judge)


def test_own_channels(judge: Judge, tmp_path: Path):
    """Without the spelling of a file, as read from glTF, motif chooses the channels."""
    motion = replace(bvh.read(odd_rig().encode()), file_format=FileFormat())
    assert_plays(motion, io.save(motion, tmp_path / "own.bvh"), judge)


# --- rigs on which programs differ -----------------------------------------------------------------------------------
def plain_names(motion: Motion) -> Motion:
    """Without the namespace before the names."""
    names = tuple(n.rsplit(":", 1)[-1] for n in motion.skeleton.names)
    return replace(motion, skeleton=replace(motion.skeleton, names=names))


def without(text: str, *channels: tuple[str, str]) -> str:
    """A BVH text with some (joint, channel) columns taken out."""
    motion = bvh.read(text.encode())
    s, rows = motion.skeleton, [list(c) for c in motion.file_format.channels]
    head, _, data = text.partition("MOTION")
    numbers = [line.split() for line in data.strip().splitlines()[2:]]
    columns = [(j, c) for j, names in enumerate(rows) for c in names]
    gone = [(s.index(joint), channel) for joint, channel in channels]
    for j, channel in gone:
        old = f"CHANNELS {len(rows[j])} {' '.join(rows[j])}"
        rows[j].remove(channel)
        at = head.index(old, head.index(s.names[j]))
        head = head[:at] + f"CHANNELS {len(rows[j])} {' '.join(rows[j])}" + head[at + len(old) :]
    lines = [" ".join(x for x, c in zip(line, columns, strict=True) if c not in gone) for line in numbers]
    return head + "\n".join(["MOTION", *data.strip().splitlines()[:2], *lines]) + "\n"


def on_static_node() -> Motion:
    """The odd rig under a node that never moves, as many GLB and Bandai Namco files have it."""
    body = bvh.read(odd_rig().encode())
    s = body.skeleton
    raised = replace(
        s,
        names=("Armature", *s.names),
        parents=(-1, *(p + 1 for p in s.parents)),
        offsets=((0.0, 0.0, 0.0), *s.offsets),
        end=(False, *s.end),
        rest=((1.0, 0.0, 0.0, 0.0), *s.rest),
        mirror=(),
        left=(),
        contacts=(),
    )
    still = torch.tensor([1.0, 0, 0, 0]).expand(len(body), 1, 4)
    rotations = torch.cat((still, body.rotations), 1)
    positions = torch.cat((torch.zeros(len(body), 1, 3), body.positions), 1)
    return Motion(guess_rig(raised, rotations, positions), rotations, positions, body.frame_time, "raised")


def test_body_on_a_static_node(judge: Judge, tmp_path: Path):
    motion = on_static_node()
    assert motion.skeleton.names[motion.skeleton.root] == "Hips"
    assert_plays(motion, io.save(motion, tmp_path / "raised.bvh"), judge)


def test_some_position_channels(judge: Judge, tmp_path: Path, request: pytest.FixtureRequest):
    if judge is ask_blender:
        reason = "to Blender a missing position channel is 0, not OFFSET; bvh.write should write all three or none"
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True, raises=AssertionError))
    motion = bvh.read(without(odd_rig(), ("Hips", "Xposition"), ("Hips", "Zposition")).encode())
    assert_plays(motion, io.save(motion, tmp_path / "some.bvh"), judge)


def test_some_rotation_channels(judge: Judge, tmp_path: Path, request: pytest.FixtureRequest):
    if judge is ask_blender:
        reason = "Blender refuses one or two rotation channels (KeyError); bvh.write should write all three or none"
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True, raises=AssertionError))
    motion = bvh.read(without(odd_rig(), ("LeftHand", "Yrotation")).encode())
    assert_plays(motion, io.save(motion, tmp_path / "some.bvh"), judge)


def test_positions_on_every_joint(judge: Judge, tmp_path: Path):
    """As in the Bandai Namco sets. Blender replaces OFFSET by them, three.js adds it: there all bones are doubled."""
    motion = bvh.read(odd_rig().encode())
    s = motion.skeleton
    rows = [() if tip else (*POSITIONS, *ROTATIONS) for tip in s.end]
    path = io.save(motion, tmp_path / "all.bvh", channels=rows)
    if judge is ask_blender:
        assert_plays(motion, path, judge)
        return
    far, _ = differences(motion, path, judge)
    assert far["Hips"] < TOLERANCE
    assert far["LeftFoot"] > 0.1


def test_names_with_colons(tmp_path: Path):
    """three.js binds no track to a name with a colon: the body stands in its rest pose. Blender plays it."""
    motion = bvh.read(odd_rig().replace("ROOT ", "ROOT mixamorig7:").replace("JOINT ", "JOINT mixamorig7:").encode())
    path = io.save(motion, tmp_path / "colons.bvh")
    far, answer = differences(motion, path, ask_three)
    joints = sum(not tip for tip in motion.skeleton.end)
    assert len(answer["complaints"]) == 2 * joints
    assert all("No target node found" in c for c in answer["complaints"])
    assert min(far.values()) > 0.01
    plain = plain_names(motion)
    assert_plays(plain, io.save(plain, tmp_path / "plain.bvh"), ask_three)


def test_names_with_colons_in_blender(tmp_path: Path):
    motion = bvh.read(odd_rig().replace("ROOT ", "ROOT a:").replace("JOINT ", "JOINT a:").encode())
    assert_plays(motion, io.save(motion, tmp_path / "colons.bvh"), ask_blender)
