"""BVH: odd-but-legal files read right, broken ones are refused with their line and a remedy, nothing is lost."""

import math
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import bvh_fuzz
import reference
from motif import io, rotation
from motif.errors import MotifError, MotifWarning
from motif.io import ReadConfig, bvh, bvh_numbers
from motif.motion import FileFormat, Motion
from motif.skeleton import Skeleton

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CLIPS = sorted((DATA / "clips").glob("*.bvh"))
needs_clips = pytest.mark.skipif(not CLIPS, reason="the clips of ../shared/data are not here")

PLAIN = """HIERARCHY
ROOT Hips
{
\tOFFSET 0 0 0
\tCHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
\tJOINT Spine
\t{
\t\tOFFSET 1 40 2
\t\tCHANNELS 3 Zrotation Xrotation Yrotation
\t\tEnd Site
\t\t{
\t\t\tOFFSET 0 30 0
\t\t}
\t}
\tJOINT LeftLeg
\t{
\t\tOFFSET 10 -40 0
\t\tCHANNELS 3 Xrotation Yrotation Zrotation
\t\tEnd Site
\t\t{
\t\t\tOFFSET 0 -50 0
\t\t}
\t}
}
MOTION
Frames: 3
Frame Time: 0.016667
0 90 0 10 20 30 5 6 7 -20 30 40
1 91 2 15 25 35 6 7 8 -25 35 45
2 92 4 20 30 40 7 8 9 -30 40 50
"""
ROWS = PLAIN[PLAIN.index("0 90") :]


def swap(old: str, new: str, text: str = PLAIN) -> str:
    assert old in text
    return text.replace(old, new, 1)


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def worlds(motion: Motion) -> np.ndarray:
    """World positions in file units."""
    return motion.world()[1].numpy() / motion.file_format.unit


def agrees(path: Path, motion: Motion, add_root: bool = False) -> None:
    """The motion has the joints, channels and positions that the oracle finds in the file."""
    truth = reference.load(path)
    assert [n for n, e in zip(motion.skeleton.names, motion.skeleton.end, strict=True) if not e] == [
        n for n in truth.names if n is not None
    ]
    assert list(motion.skeleton.parents) == truth.parents
    assert [[c.lower() for c in row] for row in motion.file_format.channels] == truth.channels
    assert motion.frame_time == truth.frame_time
    error = np.abs(worlds(motion) - reference.positions(truth, add_root)).max()
    assert error < 1e-4 * motion.skeleton.height / motion.file_format.unit


# --- odd but legal ---------------------------------------------------------------------------------------------------
LEGAL = {
    "plain": PLAIN,
    "tabs": PLAIN.replace(" ", "\t").replace("End\tSite", "End Site").replace("Frame\tTime", "Frame Time"),
    "several spaces": PLAIN.replace(" ", "    ").replace("Frame    Time", "Frame Time"),
    "CRLF": PLAIN.replace("\n", "\r\n"),
    "old Mac line ends": PLAIN.replace("\n", "\r"),
    "blank lines": PLAIN.replace("\n", "\n\n"),
    "trailing blank lines": PLAIN + "\n  \n\t\n\n",
    "no last line break": PLAIN.rstrip("\n"),
    "lower case": PLAIN.replace("OFFSET", "Offset").replace("CHANNELS", "channels").replace("MOTION", "Motion"),
    "upper-case channels": PLAIN.replace("rotation", "ROTATION").replace("position", "Position"),
    "brace on the line of the name": PLAIN.replace("\n{", " {").replace("\n\t{", " {").replace("\n\t\t{", "{"),
    "BOM": "\ufeff" + PLAIN,
    "space before lines": PLAIN.replace("\n", "\n  "),
    "exponents": swap("0 90 0", "0e0 9.0E+1 -0"),
    "names with blanks and marks": swap("LeftLeg", "mixamorig7:Left Leg.001"),
}


@pytest.mark.parametrize("text", LEGAL.values(), ids=LEGAL)
def test_odd_spellings_read_like_the_plain_file(text, tmp_path):
    path = tmp_path / "odd clip.bvh"
    path.write_bytes(text.encode())
    motion, plain = bvh.read(path), bvh.read(PLAIN)
    assert motion.name == "odd clip"
    torch.testing.assert_close(motion.rotations, plain.rotations)
    torch.testing.assert_close(motion.positions, plain.positions)
    assert motion.file_format == plain.file_format
    assert motion.frame_time == 0.016667
    agrees(path, motion)


def test_what_a_file_says_is_kept():
    file = bvh.parse(PLAIN)
    assert file.names == ("Hips", "Spine", "Spine/end", "LeftLeg", "LeftLeg/end")
    assert file.parents == (-1, 0, 1, 0, 3)
    assert file.end == (False, False, True, False, True)
    assert file.channels[3] == ("Xrotation", "Yrotation", "Zrotation")
    assert file.channels[2] == ()
    assert file.offsets.dtype == file.values.dtype == np.float64
    assert file.offsets[1].tolist() == [1, 40, 2]
    assert file.values.shape == (3, 12)
    assert file.values[1, :4].tolist() == [1, 91, 2, 15]
    assert file.frame_time == 0.016667
    assert PLAIN.split("\n")[file.motion_line - 1] == "MOTION"
    assert bvh.parse(PLAIN.encode()).names == file.names


@pytest.mark.parametrize("frames", ["Frames:3", "Frames:    3", "FRAMES : 3", "Frames:\t3"])
def test_spellings_of_the_frame_count(frames):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(bvh.parse(swap("Frames: 3", frames)).values) == 3


@pytest.mark.parametrize("declared", ["2", "4", "0", "3069", "100000000000"])
def test_a_wrong_frame_count_warns_and_trusts_the_data(declared):
    with pytest.warns(MotifWarning, match=rf":26: declares {declared} frames but holds 3"):
        assert len(bvh.parse(swap("Frames: 3", f"Frames: {declared}")).values) == 3


def test_latin_1_names_are_read_and_written_as_utf_8(tmp_path):
    motion = bvh.read(swap("LeftLeg", "Épaule").encode("latin-1"))
    assert motion.skeleton.names[3] == "Épaule"
    assert bvh.read(bvh.write(motion, tmp_path / "a.bvh")).skeleton.names == motion.skeleton.names


def test_end_sites_get_names_of_their_own():
    text = swap("JOINT LeftLeg", "JOINT Spine/end")
    twice = swap("\t\tEnd Site", "\t\tEnd Site\n{ OFFSET 1 1 1 }\nEnd Site")
    assert bvh.parse(text).names == ("Hips", "Spine", "Spine/end2", "Spine/end", "Spine/end/end")
    assert bvh.parse(twice).names[2:4] == ("Spine/end", "Spine/end2")


def rows(width: int, frames: int = 4, seed: int = 0) -> str:
    numbers = np.random.default_rng(seed).uniform(-170, 170, (frames, width))
    return "\n".join(" ".join(f"{x:.6f}" for x in row) for row in numbers) + "\n"


def rig(root: str, spine: str, leg: str) -> str:
    """The plain rig with these channel lines (empty for none) and random numbers."""
    text = PLAIN[: PLAIN.index("0 90")].replace("Frames: 3", "Frames: 4")
    count = 0
    for old, new in (
        ("CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation", root),
        ("CHANNELS 3 Zrotation Xrotation Yrotation", spine),
        ("CHANNELS 3 Xrotation Yrotation Zrotation", leg),
    ):
        n = len(new.split())
        count += n
        text = swap(old, "" if new == "" else f"CHANNELS {0 if new == '-' else n} {'' if new == '-' else new}", text)
        count -= new == "-"
    return text + rows(count)


P, ZXY = "Xposition Yposition Zposition", "Zrotation Xrotation Yrotation"
RIGS = {
    "six channels everywhere": rig(f"{P} {ZXY}", f"{P} {ZXY}", f"{P} {ZXY}"),
    "rotation first": rig(f"{ZXY} {P}", ZXY, f"{ZXY} {P}"),
    "root without positions": rig(ZXY, ZXY, ZXY),
    "partial": rig(f"Yposition {ZXY}", "Yrotation Zrotation", "Xrotation"),
    "position in a joint alone": rig(f"{P} {ZXY}", "Zposition Xposition", "Yposition Xrotation"),
    "mixed": rig("Zrotation Xposition Yrotation Zposition Xrotation Yposition", "Xrotation Zposition Zrotation", "-"),
    "joint without CHANNELS": rig(f"{P} Yrotation Xrotation Zrotation", "", "Zrotation"),
    "CHANNELS 0": rig(f"{P} Xrotation Zrotation Yrotation", "-", "Yrotation Zrotation Xrotation"),
    "all six orders": rig(f"{P} Yrotation Zrotation Xrotation", "Zrotation Yrotation Xrotation", "Xrotation Zrotation"),
    "root OFFSET": swap("OFFSET 0 0 0", "OFFSET 0 99.79 3", rig(f"{P} {ZXY}", ZXY, ZXY)),
    "one frame": swap(ROWS, ROWS.split("\n")[0] + "\n", swap("Frames: 3", "Frames: 1")),
    "one joint": "HIERARCHY\nROOT r\n{\nOFFSET 1 2 3\nCHANNELS 1 Yrotation\n}\nMOTION\nFrames: 4\nFrame Time: .1\n"
    + rows(1),
}


@pytest.mark.parametrize("text", RIGS.values(), ids=RIGS)
def test_any_channels_read_and_write_without_loss(text, tmp_path):
    path = tmp_path / "a.bvh"
    path.write_text(text)
    motion = bvh.read(path)
    agrees(path, motion)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the file's own channels hold its own motion
        again = bvh.read(bvh.write(motion, tmp_path / "b.bvh"), ReadConfig(unit=motion.file_format.unit))
    agrees(tmp_path / "b.bvh", motion)
    agrees(tmp_path / "b.bvh", again)
    assert again.skeleton.names == motion.skeleton.names
    assert again.frame_time == motion.frame_time
    assert again.file_format == motion.file_format
    free = bvh.read(
        bvh.write(replace(motion, file_format=FileFormat(unit=motion.file_format.unit)), path),
        ReadConfig(unit=motion.file_format.unit),
    )
    assert float((free.world()[1] - motion.world()[1]).abs().max()) < 1e-4 * motion.skeleton.height


@needs_clips
@pytest.mark.parametrize("path", CLIPS, ids=[p.stem for p in CLIPS])
def test_clips_agree_with_the_oracle_and_survive_writing(path, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        motion = bvh.read(path)
        agrees(path, motion)
        again = io.load(io.save(motion, tmp_path / "new folder" / "a.bvh"))
    agrees(tmp_path / "new folder" / "a.bvh", motion)
    assert again.skeleton.names == motion.skeleton.names
    assert again.frame_time == motion.frame_time
    assert again.file_format == motion.file_format
    assert 1.3 < motion.skeleton.height < 2.2
    assert not list((tmp_path / "new folder").glob(".*"))


@needs_clips
@pytest.mark.parametrize("path", CLIPS, ids=[p.stem for p in CLIPS])
def test_clips_agree_with_pybvh(path):
    pybvh = pytest.importorskip("pybvh")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pybvh.read_bvh_file(str(path))
    ours = bvh.parse(path)
    assert [n for n, e in zip(ours.names, ours.end, strict=True) if not e] == list(theirs.joint_names)
    np.testing.assert_allclose(ours.values[:, :3], theirs.root_pos, atol=1e-9)
    angles = np.deg2rad(ours.values[:, 3:]).reshape(len(ours.values), -1, 3)
    np.testing.assert_allclose(angles, theirs.joint_angles, atol=1e-9)


# --- broken ----------------------------------------------------------------------------------------------------------
ENDLESS = (
    "HIERARCHY\nROOT r {\nOFFSET 0 0 0\n" + "".join(f"JOINT j{i} {{\nOFFSET 0 0 0\n" for i in range(5000)) + "MOTION"
)
BROKEN = {  # what: text, the line that the message must name, what it must say
    "no MOTION": (PLAIN[: PLAIN.index("MOTION")], 24, "without a line MOTION.*cut off"),
    "truncated hierarchy": (PLAIN[:150], 9, "MOTION.*cut off"),
    "truncated header": (PLAIN[: PLAIN.index("Frame Time")], 27, "Frame Time"),
    "nothing after MOTION": (PLAIN[: PLAIN.index("Frames")], 26, "the file ends.*Frames"),
    "zero frames": (swap(ROWS, ""), 27, "no frames follow.*12 numbers"),
    "NaN": (swap("91 2 15", "91 nan 15"), 29, "frame 2 holds 'nan'.*finite.*repair"),
    "infinity": (swap("91 2 15", "91 1e999 15"), 29, "'1e999'.*finite"),
    "absurd number": (swap("91 2 15", "91 1e30 15"), 29, "'1e30'.*at most"),
    "short row": (swap("35 6 7 8", "35 6 7"), 29, "frame 2 has 11 numbers.*need 12.*cut off"),
    "long row": (swap("35 6 7 8", "35 6 7 8 8"), 29, "frame 2 has 13 numbers.*need 12.*CHANNELS"),
    "all rows short": (swap("CHANNELS 3 X", "CHANNELS 4 Yposition X"), 28, "frame 1 has 12 numbers.*need 13"),
    "text in data": (swap("91 2 15", "91 two 15"), 29, "frame 2 holds 'two', expected a number"),
    "decimal commas": (swap("91 2 15", "91 2,5 15"), 29, "'2,5'.*with a point, not a comma"),
    "comma in OFFSET": (swap("1 40 2", "1,5 40 2"), 8, "OFFSET holds '1,5'.*point"),
    "row after blank lines": (swap("1 91 2", "\n\n\n1 nan 2"), 32, "'nan'"),
    "open brace": (swap("\n}\nMOTION", "\nMOTION"), 24, "ends inside 'Hips', opened on line 2.*'}'"),
    "extra brace": (swap("\n}\nMOTION", "\n}\n}\nMOTION"), 25, "'}' that closes nothing.*remove"),
    "brace too early": (swap("\tJOINT LeftLeg", "}\n\tJOINT LeftLeg"), 16, "'LeftLeg' after the root has closed"),
    "missing brace": (swap("JOINT Spine\n\t{", "JOINT Spine\n"), 8, "'Spine'.*expected '{'"),
    "missing OFFSET": (swap("\t\tOFFSET 1 40 2\n", ""), 13, "'Spine' .line 6. closes without an OFFSET.*add"),
    "short OFFSET": (swap("OFFSET 1 40 2", "OFFSET 1 40"), 8, "OFFSET has 2 numbers; expected 3.*add"),
    "long OFFSET": (swap("OFFSET 1 40 2", "OFFSET 1 40 2 4"), 8, "found '4', expected"),
    "NaN in OFFSET": (swap("OFFSET 1 40 2", "OFFSET 1 nan 2"), 8, "OFFSET holds 'nan'"),
    "two OFFSETs": (swap("OFFSET 1 40 2", "OFFSET 1 40 2\nOFFSET 1 1 1"), 9, "second OFFSET"),
    "duplicate names": (swap("LeftLeg", "Spine"), 15, "'Spine' is already on line 6.*rename"),
    "two roots": (swap("MOTION", "ROOT Prop\n{\nOFFSET 0 0 0\n}\nMOTION"), 25, "second ROOT 'Prop'.*one body per file"),
    "no root": ("HIERARCHY\nMOTION\nFrames: 1\nFrame Time: 1\n0\n", 2, "no ROOT"),
    "joint without name": (swap("JOINT LeftLeg", "JOINT"), 15, "JOINT without a name"),
    "count too large": (swap("CHANNELS 3 X", "CHANNELS 4 X"), 18, "CHANNELS says 4 but 3 follow.*correct"),
    "count too small": (swap("CHANNELS 3 X", "CHANNELS 2 X"), 18, "CHANNELS says 2 but 3 follow"),
    "huge count": (swap("CHANNELS 3 X", "CHANNELS 999999999 X"), 18, "CHANNELS says 999999999 but 3 follow"),
    "no count": (swap("CHANNELS 3 X", "CHANNELS X"), 18, "CHANNELS says 'Xrotation'"),
    "unknown channel": (swap("CHANNELS 3 Xrot", "CHANNELS 3 Wrot"), 18, "'Wrotation'.*Xposition"),
    "scale channel": (swap("CHANNELS 3 Xrotation", "CHANNELS 3 Xscale"), 18, "'Xscale'.*without it"),
    "channel twice": (swap("CHANNELS 3 Xrotation", "CHANNELS 3 Yrotation"), 18, "lists a channel twice"),
    "channels of End Site": (swap("0 30 0", "0 30 0\nCHANNELS 1 Xrotation"), 13, "End Site.*has channels"),
    "joint in End Site": (swap("OFFSET 0 30 0", "JOINT a { OFFSET 0 0 0 }"), 12, "inside an End Site"),
    "frames no number": (swap("Frames: 3", "Frames: three"), 26, "Frames holds 'three'.*whole number"),
    "zero frame time": (swap("0.016667", "0"), 27, "Frame Time is '0'.*more than 0.*0.033333"),
    "negative frame time": (swap("0.016667", "-0.02"), 27, "Frame Time is '-0.02'"),
    "NaN frame time": (swap("0.016667", "nan"), 27, "Frame Time holds 'nan'"),
    "comma frame time": (swap("0.016667", "0,016667"), 27, "'0,016667'.*point"),
    "no frame time": (swap("Frame Time: 0.016667\n", ""), 27, "found '0 90 0.*Frame Time"),
    "no HIERARCHY": (swap("HIERARCHY\n", ""), 1, "found 'ROOT Hips', expected HIERARCHY"),
    "garbage at the end": (PLAIN + "end of file\n", 31, "'end'"),
    "web page": ("\n<!DOCTYPE html>\n<html>\n<body>404</body></html>\n", 2, "web page.*download the raw file"),
    "git-LFS pointer": ("version https://git-lfs.github.com/spec/v1\noid x\n", 1, "git-LFS.*git lfs pull"),
    "CSV": ("time,hip_x\n0,1\n", 1, "found 'time,hip_x', expected HIERARCHY"),
    "binary": (PLAIN[:40] + "\0\1\2" + PLAIN[40:], 5, "binary data.*export the clip as BVH"),
    "UTF-16": (PLAIN.encode("utf-16"), 1, "binary data.*UTF-8"),
    "no channels at all": (
        "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\n}\nMOTION\nFrames: 1\nFrame Time: 1\n0\n", 9, "no joint has CHANNELS"),
    "endless hierarchy": (ENDLESS, 4002, "more than 2000 joints"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_files_are_refused_with_line_and_remedy(text, line, message, tmp_path):
    path = tmp_path / "bad.bvh"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(MotifError, match=f"(?s){message}") as caught:
        bvh.read(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")


@pytest.mark.parametrize("content", [b"", b"\n \t\n", b"\xef\xbb\xbf"])
def test_empty_files_are_refused(content, tmp_path):
    path = tmp_path / "empty.bvh"
    path.write_bytes(content)
    with pytest.raises(MotifError, match="HIERARCHY"):
        bvh.parse(path)


def test_files_that_are_not_there(tmp_path):
    for path, message in (
        (tmp_path / "no.bvh", "does not exist"),
        (tmp_path, "not a regular file"),
        ("a\0b", "exist|read"),
    ):
        with pytest.raises(MotifError, match=message):
            bvh.read(path)
    with pytest.raises(MotifError, match="does not exist"):
        io.load(tmp_path / "no.bvh")


def test_frame_time_that_looks_like_a_rate_warns():
    with pytest.warns(MotifWarning, match="30 seconds per frame.*0.033333"):
        bvh.parse(swap("0.016667", "30"))


def test_a_short_fuzz_run_finds_nothing():
    report = bvh_fuzz.run(range(500), seed=7)
    assert not report.failures
    assert report.counts["read"] > 50
    assert report.counts["refused"] > 50


# --- root OFFSET, units ----------------------------------------------------------------------------------------------
def standing(offset: float, channel: float) -> str:
    upright = "".join(f"{i} {channel + i} 0 5 0 0 0 10 0 0 0 -5\n" for i in range(3))
    return swap(ROWS, upright, swap("OFFSET 0 0 0", f"OFFSET 0 {offset} 0"))


def test_relative_root_channels_warn_and_can_be_added(tmp_path):
    path = tmp_path / "relative.bvh"
    path.write_text(standing(90, 0))
    with pytest.warns(MotifWarning, match="OFFSET is 0 90 0.*--root-offset add"):
        replaced = bvh.read(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        added = bvh.read(path, ReadConfig(root_offset="add"))
    agrees(path, replaced)
    agrees(path, added, add_root=True)
    assert added.positions[0, 0, 1] == pytest.approx(0.9)
    written = bvh.write(added, tmp_path / "absolute.bvh")
    assert reference.load(written).offsets[0] == [0, 0, 0]
    agrees(written, added)
    with pytest.raises(MotifError, match="'add'"):
        bvh.read(path, ReadConfig(root_offset="sum"))


@pytest.mark.parametrize(
    ("offset", "channel"), [(90, 90), (90, 12), (90, 60), (0, 0), (0, 90), (3, 0), (200, 90), (-90, 90)]
)
def test_absolute_root_channels_do_not_warn(offset, channel):
    text = standing(offset, channel)
    if channel == 12:  # on all fours: the legs point sideways, so the hips are near the floor
        text = swap("OFFSET 10 -40 0", "OFFSET 40 -10 0", text)
        text = swap("OFFSET 0 -50 0", "OFFSET 50 0 0", text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bvh.read(text)


def test_root_is_written_where_replacing_and_adding_agree(tmp_path):
    motion = bvh.read(RIGS["root OFFSET"])
    written = bvh.write(motion, tmp_path / "a.bvh")
    clip = reference.load(written)
    assert clip.offsets[0] == [0, 0, 0]
    np.testing.assert_array_equal(reference.positions(clip), reference.positions(clip, add_root=True))


@pytest.mark.parametrize(
    ("size", "unit", "words"),
    [
        (1.7, 1, "metres"),
        (5.9, 1, "metres"),
        (28, 0.056444, "CMU units"),
        (170, 0.01, "centimetres"),
        (1700, 0.001, "millimetres"),
    ],
)
def test_units_are_guessed_from_the_size_of_the_body(size, unit, words):
    assert bvh.guess_unit(size) == (unit, words)


def test_fps_resamples_the_frames():
    plain = bvh.read(PLAIN)
    slow = bvh.read(PLAIN, ReadConfig(fps=17.0))
    assert slow.frame_time == 1 / 17
    assert torch.equal(slow.rotations, plain.resample(17.0).rotations)
    assert torch.equal(slow.positions, plain.resample(17.0).positions)


def test_units_scale_lengths_and_come_back(tmp_path):
    metres, plain = bvh.read(PLAIN, ReadConfig(unit=1.0)), bvh.read(PLAIN)
    assert plain.file_format.unit == 0.01
    torch.testing.assert_close(plain.positions, metres.positions * 0.01)
    assert plain.skeleton.offsets[1] == pytest.approx((0.01, 0.4, 0.02))
    written = bvh.write(plain, tmp_path / "m.bvh", unit=1.0)
    torch.testing.assert_close(bvh.read(written, ReadConfig(unit=1.0)).positions, plain.positions, atol=1e-6, rtol=0)
    for unit in (0, -1, math.nan, math.inf):
        with pytest.raises(MotifError, match="metres per unit"):
            bvh.read(PLAIN, ReadConfig(unit=unit))


# --- writing ---------------------------------------------------------------------------------------------------------
def test_turning_a_one_axis_joint_otherwise_gives_it_channels(tmp_path):
    motion = bvh.read(RIGS["partial"])
    rotations, positions = motion.rotations.clone(), motion.positions.clone()
    rotations[1:, 3] = rotation.mul(rotations[1:, 3], rotation.about("z", torch.tensor(0.3)))
    positions[2, 1, 0] += 0.2
    moved = replace(motion, rotations=rotations, positions=positions)
    with pytest.warns(MotifWarning, match=r"Spine \(position\), LeftLeg \(rotation\)"):
        written = bvh.write(moved, tmp_path / "a.bvh")
    again = bvh.read(written, ReadConfig(unit=motion.file_format.unit))
    assert float((again.world()[1] - moved.world()[1]).abs().max()) < 1e-4 * motion.skeleton.height
    assert again.file_format.channels[3] == ("Xrotation", "Zrotation", "Yrotation")
    assert again.file_format.channels[1] == ("Xposition", "Yposition", "Zposition", "Yrotation", "Zrotation")


def test_an_end_site_that_moves_becomes_a_joint(tmp_path):
    motion = bvh.read(PLAIN)
    positions = motion.positions.clone()
    positions[1, 2, 1] += 0.1
    with pytest.warns(MotifWarning, match="Spine/end"):
        written = bvh.write(replace(motion, positions=positions), tmp_path / "a.bvh")
    assert "JOINT Spine/end" in written.read_text()
    torch.testing.assert_close(bvh.read(written).positions, positions, atol=1e-6, rtol=0)


def test_joints_in_any_legal_order_are_nested(tmp_path):
    s = Skeleton(("a", "b", "c", "b1", "c1"), (-1, 0, 0, 1, 2), tuple((float(j), 1.0, 0.0) for j in range(5)))
    turns = rotation.exp(torch.randn(6, 5, 3, generator=torch.Generator().manual_seed(0)))
    motion = Motion(s, turns, s.offset_tensor().expand(6, 5, 3).clone(), 1 / 30, file_format=FileFormat(unit=1.0))
    again = bvh.read(bvh.write(motion, tmp_path / "a.bvh"), ReadConfig(unit=1.0))
    assert again.skeleton.names == ("a", "b", "b1", "c", "c1")
    assert again.frame_time == 1 / 30
    where = [again.skeleton.names.index(n) for n in s.names]
    torch.testing.assert_close(again.world()[1][:, where], motion.world()[1], atol=1e-5, rtol=0)


def test_angles_are_written_without_jumps(tmp_path):
    text = PLAIN[: PLAIN.index("Frames")] + "Frames: 200\nFrame Time: 0.01\n"
    text += "".join(f"0 90 0 {7 * i} {3 * i + 0.5} {i} {5 * i} 0 0 0 {-4 * i - 1} {2 * i}\n" for i in range(200))
    motion = bvh.read(text)
    values = bvh.parse(bvh.write(motion, tmp_path / "a.bvh")).values
    assert np.abs(np.diff(values[:, 3:], axis=0)).max() < 30
    np.testing.assert_allclose(np.diff(values[:, 3:], axis=0)[:, 3], 5, atol=1e-3)


def test_names_that_bvh_cannot_spell_are_changed_with_a_warning(tmp_path):
    s = Skeleton(("a{b}", "a_b_", " x\ny ", ""), (-1, 0, 1, 2), ((0.0, 1.0, 0.0),) * 4)
    motion = Motion(s, rotation.identity(2, 4), torch.ones(2, 4, 3) * torch.tensor([0.0, 1, 0]), 0.1)
    with pytest.warns(MotifWarning, match="cannot spell"):
        written = bvh.write(motion, tmp_path / "a.bvh")
    assert bvh.parse(written).names == ("a_b__", "a_b_", "x_y", "_")


def test_frame_time_reads_back_the_same(tmp_path):
    motion = bvh.read(PLAIN)
    for frame_time in (1 / 30, 1 / 23.976, 0.008333, 1e-5, 0.1 + 0.2):
        written = bvh.write(replace(motion, frame_time=frame_time), tmp_path / "a.bvh")
        assert bvh.parse(written).frame_time == frame_time


def test_writing_is_whole_or_not_at_all(tmp_path):
    motion = bvh.read(PLAIN)
    path = bvh.write(motion, tmp_path / "a.bvh")
    before = path.read_bytes()
    bad = motion.rotations.clone()
    bad[1, 1, 0] = math.nan
    with pytest.raises(MotifError, match="rotation of 'Spine' at frame 1 is not finite"):
        bvh.write(replace(motion, rotations=bad), path)
    (tmp_path / "folder.bvh").mkdir()
    with pytest.raises(MotifError, match="cannot be written"):
        bvh.write(motion, tmp_path / "folder.bvh")
    with pytest.raises(MotifError, match="cannot be written"):
        bvh.write(motion, path / "below a file.bvh")
    with pytest.raises(MotifError, match="distinct"):
        bvh.write(motion, path, channels=[("Zrotation", "Zrotation")] * 5)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.bvh", "folder.bvh"]


def test_channels_can_be_chosen(tmp_path):
    motion = bvh.read(PLAIN)
    chosen = [("Yrotation", "Zrotation", "Xrotation", "Zposition", "Yposition", "Xposition")]
    chosen += [() if end else ("Yrotation", "Xrotation", "Zrotation") for end in motion.skeleton.end[1:]]
    again = bvh.read(bvh.write(motion, tmp_path / "a.bvh", channels=chosen))
    assert list(again.file_format.channels) == chosen
    torch.testing.assert_close(again.world()[1], motion.world()[1], atol=1e-6, rtol=0)


def test_suffixes(tmp_path):
    motion = bvh.read(PLAIN)
    with pytest.raises(MotifError, match=r"'\.fbx'.*\.bvh, \.glb"):
        io.load("a.fbx")
    with pytest.raises(MotifError, match=r"'\.glb'.*\.bvh"):
        io.save(motion, tmp_path / "a.glb")
    with pytest.raises(MotifError, match="without an ending"):
        io.save(motion, tmp_path / "a")
    with pytest.raises(MotifError, match="one clip"):
        io.load("a.bvh", ReadConfig(clip=1))
    assert io.load(io.save(motion, tmp_path / "A.BVH")).name == "A"


def test_a_motion_without_any_channel_still_has_frames(tmp_path):
    motion = bvh.read(RIGS["one joint"])
    still = replace(motion, rotations=rotation.identity(4, 1), positions=motion.positions[:1].expand(4, 1, 3).clone())
    again = bvh.read(bvh.write(still, tmp_path / "a.bvh", channels=[()]), ReadConfig(unit=motion.file_format.unit))
    torch.testing.assert_close(again.positions, still.positions)


def test_a_z_up_file_is_noticed_and_turned(tmp_path):
    from rigs import tree, walk

    upright = walk(tree(), 60, 30, 0)
    q = rotation.about("x", torch.tensor(math.pi / 2))
    rotations, positions = upright.rotations.clone(), upright.positions.clone()
    rotations[:, 0], positions[:, 0] = rotation.mul(q, rotations[:, 0]), rotation.rotate(q, positions[:, 0])
    path = io.save(replace(upright, rotations=rotations, positions=positions), tmp_path / "lying.bvh")
    with pytest.warns(MotifWarning, match="--up z"):
        bvh.read(path)
    back = bvh.read(path, ReadConfig(up="z"))
    assert float((back.world()[1] - upright.world()[1]).abs().max()) < 1e-4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bvh.read(io.save(upright, tmp_path / "upright.bvh"))


# --- numbers ---------------------------------------------------------------------------------------------------------
def test_numbers_are_read_as_python_reads_them():
    random = np.random.default_rng(1)
    spellings = ("%.6f", "%d", "%+.3f", "%e", "%.17g", "%.12f", "%.0f.", "%r", "%.0f")
    for _ in range(100):
        width, rows = random.integers(1, 9), random.integers(1, 60)
        values = random.normal(0, 10.0 ** random.integers(-5, 6), (rows, width)).tolist()
        words = [[random.choice(spellings) % v for v in row] for row in values]
        gaps = random.choice([" ", "\t", "  "]), random.choice(["\n", "\n\n", " \n \n"])
        text = gaps[1].join(gaps[0].join(row) for row in words)
        found, expected = bvh_numbers.read_rows(text.encode(), int(width)), np.array([[*map(float, r)] for r in words])
        assert np.array_equal(found.view(np.int64), expected.view(np.int64))  # the sign of zero, too


NO_ROWS = ("1 2\n3", "1 2 3\n1", "x y", "1..2 3", "--1 2", "1-2 3", ". 2", "- 2", "1_0 2", "1e 2")


@pytest.mark.parametrize("text", NO_ROWS)
def test_what_is_no_row_of_numbers_is_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        bvh_numbers.read_rows(text.encode(), 2)


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1.0, 180.0, 9e5, 1e7])
def test_numbers_are_written_as_python_writes_them(size):
    values = np.random.default_rng(0).normal(0, size / 3, (50, 7))
    values[0, :4], values[1] = [0.0, -0.0, 5e-7, -5e-7], np.rint(values[1])
    row = " ".join(["%.6f"] * 7) + "\n"
    assert bvh_numbers.write_rows(values) == "".join(row % tuple(r) for r in (np.round(values, 6) + 0.0).tolist())


def test_numbers_at_the_edge_of_the_fast_path():
    just_below = np.array([[999_999.999_999_6, -999_999.999_999_6]])
    assert bvh_numbers.write_rows(just_below) == "1000000.000000 -1000000.000000\n"
    assert bvh_numbers.write_rows(np.array([[np.nan]])) == "nan\n"
    for text in (b"1\x012", b"1 2\x1a", b"\x1b1 2"):
        with pytest.raises(ValueError, match="control"):
            bvh_numbers.read_rows(text, 2)
