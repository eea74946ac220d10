import importlib
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from motif import rotation, view
from motif.errors import MotifError
from motif.motion import Motion
from motif.paper_features import MIXAMO_24
from motif.skeleton import Skeleton
from motif.view import ShowConfig, animation, draw
from rigs import build

BIPED = {
    "Hips": ("", 0, 0.95, 0),
    **{
        f"{side}{bone}": (f"{side}{above}" if above else "Hips", sign * x, y, z)
        for side, sign in (("Left", 1), ("Right", -1))
        for bone, above, x, y, z in (
            ("UpLeg", "", 0.1, -0.05, 0.0),
            ("Leg", "UpLeg", 0.0, -0.42, 0.0),
            ("Foot", "Leg", 0.0, -0.41, 0.0),
            ("ToeBase", "Foot", 0.0, -0.06, 0.13),
            ("Toe_End", "ToeBase", 0.0, 0.0, 0.06),
        )
    },
    "Spine": ("Hips", 0, 0.1, 0),
    "Spine1": ("Spine", 0, 0.13, 0),
    "Spine2": ("Spine1", 0, 0.13, 0),
    "Neck": ("Spine2", 0, 0.15, 0),
    "Head": ("Neck", 0, 0.1, 0.02),
    **{
        f"{side}{bone}": (f"{side}{above}" if above else "Spine2", sign * x, y, 0.0)
        for side, sign in (("Left", 1), ("Right", -1))
        for bone, above, x, y in (
            ("Shoulder", "", 0.06, 0.1),
            ("Arm", "Shoulder", 0.12, 0.0),
            ("ForeArm", "Arm", 0.27, 0.0),
            ("Hand", "ForeArm", 0.25, 0.0),
        )
    },
}


def moving(skeleton: Skeleton, frames: int = 45, fps: float = 30.0, speed: float = 1.0, name: str = "") -> Motion:
    """Every joint but the first swings about x, the body glides ahead."""
    when = torch.arange(frames) / fps
    swing = 0.4 * torch.sin(2 * math.pi * when)[:, None] * torch.linspace(-1, 1, len(skeleton))
    swing[:, 0] = 0
    positions = torch.tensor(skeleton.offsets).repeat(frames, 1, 1)
    positions[:, 0, 2] += speed * when
    return Motion(skeleton, rotation.about("x", swing), positions, 1 / fps, name)


def biped(**options) -> Motion:
    names = list(BIPED)
    parents = [-1 if not BIPED[n][0] else names.index(BIPED[n][0]) for n in names]
    skeleton = build(names, parents, [BIPED[n][1:] for n in names])
    assert set(names) == set(MIXAMO_24)
    return moving(skeleton, **options)


def chain(joints: int, step: tuple[float, float, float] = (0.0, 0.0, 0.5), **options) -> Motion:
    return moving(
        build([f"j{n}" for n in range(joints)], range(-1, joints - 1), [(0, 0, 0), *[step] * (joints - 1)]), **options
    )


def inked(picture: Image.Image) -> float:
    """Share of pixels that are not paper."""
    return float((np.asarray(picture.convert("RGB")) < 250).any(-1).mean())


def durations(path) -> list[int]:
    """Milliseconds of each picture of a GIF."""
    with Image.open(path) as film:
        waits = []
        for n in range(film.n_frames):
            film.seek(n)
            waits.append(film.info["duration"])
    return waits


RIGS = {
    "biped": biped,
    "chain of 4": lambda: chain(4),
    "upright chain": lambda: chain(5, (0.0, 0.4, 0.0)),
    "two joints": lambda: chain(2, (0.0, 1.0, 0.0)),
    "one joint": lambda: chain(1),
    "joints in one place": lambda: chain(3, (0.0, 0.0, 0.0), speed=0.0),
    "giant": lambda: chain(6, (0.0, 0.0, 80.0)),
    "mite": lambda: chain(6, (0.0, 0.0, 0.0004), speed=0.001),
    "one frame": lambda: biped(frames=1),
}


@pytest.mark.parametrize("rig", RIGS)
def test_any_rig(rig, tmp_path):
    motion = RIGS[rig]()
    for ending in (".png", ".gif"):
        path = view.show([motion], tmp_path / "new" / f"a{ending}")
        with Image.open(path) as picture:
            assert 0.002 < inked(picture) < 0.4
    assert [p.name for p in path.parent.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("count", [1, 2, 8])
def test_sheet_rows(count, tmp_path):
    motions = [biped(name=f"a very long name of a motion {'x' * 200} {n}\nover two lines") for n in range(count)]
    with Image.open(view.contact_sheet(motions, tmp_path / "a.png", ShowConfig(title="Title"))) as picture:
        assert picture.width == 2000
        assert count * 250 < picture.height < 200 + count * 700
        assert inked(picture.crop((0, picture.height - 250, 2000, picture.height))) > 0.005


def test_sheet_takes_a_motion_and_more_poses_than_frames(tmp_path):
    with Image.open(view.contact_sheet(biped(frames=3), tmp_path / "a.png", ShowConfig(poses=12))) as picture:
        assert inked(picture) > 0.002


def test_sides_have_their_colours(tmp_path):
    """The left arm of a body that faces us is on the right of the picture."""
    take = draw.figures([biped(speed=0.0)])[0]
    names = take.motion.skeleton.names
    assert take.colours[names.index("LeftHand")] == draw.LEFT
    assert take.colours[names.index("RightToe_End")] == draw.RIGHT
    assert take.colours[names.index("Head")] == draw.TRUNK
    hands = take.world[0][[names.index("LeftHand"), names.index("RightHand")]] @ take.axes.T
    assert hands[0, 0] > hands[1, 0]
    view.animate([take.motion], tmp_path / "a.gif", ShowConfig(seconds=0.1))
    with Image.open(tmp_path / "a.gif") as picture:
        below = np.asarray(picture.convert("RGB").crop((0, 60, 480, 480))).astype(int)
    bluer = below[..., 2] - below[..., 0]
    left, right = (np.nonzero(on)[1] for on in (bluer > 60, bluer < -60))
    assert min(len(left), len(right)) > 200
    assert left.mean() > right.mean() + 20


def test_view_is_a_rotation_and_a_walk_goes_right():
    for turn in (0.0, 1.0, 2.5, -2.0):
        motion = biped().transform(turn)
        take = draw.figures([motion])[0]
        assert np.allclose(take.axes @ take.axes.T, np.eye(3), atol=1e-9)
        path = (take.world[-1, 0] - take.world[0, 0]) @ take.axes.T
        assert path[0] > 0.5 * np.linalg.norm(path)
        assert path[2] < 0, "towards us"


def test_the_picture_does_not_depend_on_place_and_turn(tmp_path):
    motion = biped(name="a")
    first = view.contact_sheet([motion], tmp_path / "a.png").read_bytes()
    moved = view.contact_sheet([motion.transform(0.7, (30.0, 5.0, -20.0))], tmp_path / "b.png")
    one, two = (np.asarray(Image.open(p).convert("L")).astype(int) for p in (tmp_path / "a.png", moved))
    assert one.shape == two.shape
    assert (np.abs(one - two) > 60).mean() < 0.002
    assert view.contact_sheet([motion], tmp_path / "a.png").read_bytes() == first


def test_filler_tips_are_not_drawn():
    names, parents = ["a", "l", "l/end", "r", "r/end"], [-1, 0, 1, 0, 3]
    offsets = [(0, 0, 0), (1, 1, 0), (1, 1, 0), (-1, 1, 0), (-1, 1, 0)]
    ends = [False, False, True, False, True]
    assert draw.figures([moving(build(names, parents, offsets, ends))])[0].joints == (0, 1, 3)
    offsets[2] = (0.2, 0, 0)
    assert len(draw.figures([moving(build(names, parents, offsets, ends))])[0].joints) == 5


@pytest.mark.parametrize("fps", [15, 12.5, 24, 30, 50])
@pytest.mark.parametrize("seconds", [0.5, 1.234])
def test_gif_plays_at_true_speed(fps, seconds, tmp_path):
    config = ShowConfig(fps=fps, seconds=seconds, size=100)
    path = view.animate([biped(frames=90, fps=60.0), biped()], tmp_path / "a.gif", config)
    waits = durations(path)
    assert sum(waits) == pytest.approx(1000 * seconds, abs=10.1)
    assert min(waits) >= 20
    assert max(waits[:-1]) - min(waits[:-1]) <= 10
    assert len(waits) == round(seconds * fps)
    with Image.open(path) as film:
        assert film.size == (200, 100)
        assert film.info["loop"] == 0


def test_gif_of_a_still_body_keeps_its_length(tmp_path):
    still = chain(2, (0.0, 1.0, 0.0)).select(torch.zeros(60, dtype=torch.long))
    assert sum(durations(view.animate([still], tmp_path / "a.gif", ShowConfig(size=64)))) == 2000


def test_frames_are_picked_by_time_and_shorter_motions_hold(tmp_path, monkeypatch):
    seen: dict[str, list[int]] = {}

    def camera(figure, frames, side, make=animation._camera):
        seen[figure.name] = frames
        return make(figure, frames, side)

    monkeypatch.setattr(animation, "_camera", camera)
    motions = [biped(frames=10, fps=10.0, name="slow"), biped(frames=60, fps=120.0, name="fast")]
    view.animate(motions, tmp_path / "a.gif", ShowConfig(fps=10, size=64))
    assert seen["slow"] == list(range(10))
    assert seen["fast"] == [0, 12, 24, 36, 48, 59, 59, 59, 59, 59]


@pytest.mark.parametrize(
    ("count", "shape"), [(1, (1, 1)), (2, (2, 1)), (3, (3, 1)), (4, (2, 2)), (6, (3, 2)), (8, (4, 2))]
)
def test_grid_of_motions(count, shape, tmp_path):
    heard: list[float] = []
    path = view.animate([chain(3)] * count, tmp_path / "a.gif", ShowConfig(seconds=0.2, size=80), progress=heard.append)
    with Image.open(path) as film:
        assert film.size == (80 * shape[0], 80 * shape[1])
    assert heard == sorted(heard)
    assert heard[-1] == 1


def test_film(tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    path = view.show([biped(), chain(4)], tmp_path / "a.mp4", ShowConfig(seconds=1.0, size=101))
    about = ffmpeg.read_frames(str(path))
    meta = next(about)
    assert meta["size"] == (200, 100)
    assert meta["fps"] == 30
    assert sum(1 for _ in about) == 30


def test_film_without_ffmpeg_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MotifError, match=r"pip install motif\[video\].*\.gif"):
        view.animate([biped()], tmp_path / "a.mp4")


def test_mistakes_are_named(tmp_path):
    motion = biped(frames=10)
    for call, words in (
        (lambda: view.show([motion], tmp_path / "a.webm"), r"\.webm.*\.png or \.gif or \.mp4"),
        (lambda: view.show([motion], tmp_path / "a"), "no ending"),
        (lambda: view.contact_sheet([motion], tmp_path / "a.gif"), r"\.png"),
        (lambda: view.animate([motion], tmp_path / "a.png"), r"\.gif or \.mp4"),
        (lambda: view.show([], tmp_path / "a.png"), "at least one"),
        (lambda: view.contact_sheet([motion], tmp_path / "a.png", ShowConfig(poses=0)), "poses"),
        (lambda: view.animate([motion], tmp_path / "a.gif", ShowConfig(fps=60)), "pictures a second"),
        (lambda: view.animate([motion], tmp_path / "a.gif", ShowConfig(fps=-1)), "pictures a second"),
        (lambda: view.animate([motion], tmp_path / "a.gif", ShowConfig(seconds=0)), "seconds"),
        (lambda: view.animate([motion], tmp_path / "a.gif", ShowConfig(seconds=math.nan)), "seconds"),
        (lambda: view.animate([motion], tmp_path / "a.gif", ShowConfig(size=3)), "pixels"),
    ):
        with pytest.raises(MotifError, match=words):
            call()
    assert list(tmp_path.iterdir()) == []


def test_a_broken_motion_and_a_broken_folder_are_named(tmp_path):
    motion = biped(frames=10, name="take 3")
    motion.positions[4, 0, 1] = math.nan
    with pytest.raises(MotifError, match=r"'take 3'.*finite"):
        view.contact_sheet([motion], tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(MotifError, match="cannot be written"):
        view.contact_sheet([biped()], tmp_path / "file" / "a.png")


def test_a_failure_leaves_the_old_picture(tmp_path):
    path = tmp_path / "a.gif"
    path.write_text("old")

    def stop(done: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        view.animate([biped()], path, progress=stop)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.gif"]


def test_import_is_cheap():
    importlib.import_module("motif.view")
    code = "import sys, motif.view; print([m for m in ('PIL', 'matplotlib', 'imageio_ffmpeg') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
