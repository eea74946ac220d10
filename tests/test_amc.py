"""ASF and AMC: bones turn in axes of their own; and whatever is in a file, the answer is a clip or a clear error."""

import random

import pytest
import torch

import motif
from motif import rotation
from motif.errors import MotifError
from motif.io import amc

ASF = """# made up
:version 1.10
:units
  mass 1.0
  length 0.45
  angle deg
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     name lhip
     direction 1 0 0
     length 2
     axis 0 0 0 XYZ
  end
  begin
     name lleg
     direction 0 -1 0
     length 8
     axis 0 0 20 XYZ
     dof rx rz
  end
  begin
     name rleg
     direction 0 -1 0
     length 8
     axis 10 0 30 XYZ
     dof rx ry rz
  end
:hierarchy
  begin
    root lhip rleg
    lhip lleg
  end
"""
AMC = """#!OML
:FULLY-SPECIFIED
:DEGREES
1
root 1 2 3 10 20 30
lleg 30 -10
rleg 5 6 7
2
root 1 2 3.5 10 20 30
rleg 5 6 7
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "07.asf").write_text(ASF)
    (tmp_path / "07_01.amc").write_text(AMC)
    return tmp_path / "07_01.amc"


def turn(axis, degrees):
    return rotation.to_matrix(rotation.about(axis, torch.tensor(degrees * torch.pi / 180, dtype=torch.float64)))


def test_bones_are_where_the_formula_puts_them(file):
    motion, unit = motif.load(file), 0.0254 / 0.45
    s = motion.skeleton
    world = motion.world()[1].double()
    root = turn("z", 30) @ turn("y", 20) @ turn("x", 10)
    place = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64) * unit
    hip = place + root @ torch.tensor([2.0, 0, 0], dtype=torch.float64) * unit
    own = turn("z", 20)
    leg = root @ own @ turn("z", -10) @ turn("x", 30) @ own.T
    tip = hip + leg @ torch.tensor([0, -8.0, 0], dtype=torch.float64) * unit
    assert (world[0, s.index("lleg")] - hip).norm() < 1e-5
    assert (world[0, s.index("lleg_end")] - tip).norm() < 1e-5
    own = turn("z", 30) @ turn("x", 10)
    leg = root @ own @ turn("z", 7) @ turn("y", 6) @ turn("x", 5) @ own.T
    tip = place + leg @ torch.tensor([0, -8.0, 0], dtype=torch.float64) * unit
    assert (world[0, s.index("rleg_end")] - tip).norm() < 1e-5
    assert (motion.rotations[1, s.index("lleg")] - rotation.identity()).abs().max() < 1e-6
    assert motion.fps == pytest.approx(120) and len(motion) == 2


def test_the_root_may_turn_before_it_moves(file):
    usual = motif.load(file)
    (file.parent / "07.asf").write_text(ASF.replace("TX TY TZ RX RY RZ", "RX RY RZ TX TY TZ"))
    file.write_text(
        AMC.replace("root 1 2 3 10 20 30", "root 10 20 30 1 2 3").replace(
            "root 1 2 3.5 10 20 30", "root 10 20 30 1 2 3.5"
        )
    )
    assert torch.equal(motif.load(file).world()[1], usual.world()[1])


def test_the_skeleton_is_found_or_asked_for(file, tmp_path):
    (tmp_path / "data").mkdir()
    moved = file.rename(tmp_path / "data" / file.name)
    assert amc.find_asf(moved) == tmp_path / "07.asf"
    (tmp_path / "07.asf").unlink()
    with pytest.raises(MotifError, match=r"put the \.asf file"):
        motif.load(moved)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("root 1 2 3 10", "root 1 2 x 10", "expected numbers"),
        ("lleg 30 -10", "lleg 30", "expected 2"),
        ("lleg 30 -10", "tail 30 -10", "'tail' is not in the skeleton"),
        ("rleg 5 6 7\n2", "rleg 5 nan 7\n2", "not finite"),
    ],
)
def test_faults_are_named_with_their_line(file, old, new, says):
    file.write_text(AMC.replace(old, new))
    with pytest.raises(MotifError, match=says):
        motif.load(file)


def test_broken_files_give_clear_errors(file):
    draw, broken = random.Random(0), 0
    for k in range(400):
        asf, text = ASF, AMC
        chosen = asf if k % 2 else text
        at, n = draw.randrange(len(chosen)), draw.choice([0, 1, 5, 40])
        changed = (
            chosen[:at] + draw.choice(["", "x", "-", "\n", "1e999", "begin", "end", ":root", " "]) + chosen[at + n :]
        )
        (file.parent / "07.asf").write_text(changed if k % 2 else asf)
        file.write_text(text if k % 2 else changed)
        try:
            assert bool(motif.load(file).world()[1].isfinite().all())
        except MotifError:
            broken += 1
    assert broken > 50


def test_it_agrees_with_another_conversion(corpora):
    from_amc = motif.load(corpora / "cmu/amc/data/CMU/asfamc/subjects/02/02_01.amc").resample(30)
    from_bvh = motif.load(corpora / "cmu-mocap/bvh/02_01.bvh")
    for mine, theirs in (("lfemur", "LeftUpLeg"), ("rtibia", "RightLeg"), ("head", "Head"), ("lhumerus", "LeftArm")):
        a, b = (m.world()[1][:, m.skeleton.index(n)] for m, n in ((from_amc, mine), (from_bvh, theirs)))
        n = min(len(a), len(b))
        assert (a[:n] - b[:n]).norm(dim=-1).max() < 1e-3
