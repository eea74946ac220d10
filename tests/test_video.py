"""Video in: landmarks of a known clip come back as its motion; what cannot become a clip is left out with a reason."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import motif
from motif import rotation
from motif.cli import app
from motif.config import VideoConfig
from motif.curate import gates, pipeline
from motif.errors import MotifError
from motif.video import Film, Landmarks, capture, environment, lift, rig

SIDES = (("left", "Left"), ("right", "Right"))
PARTS = {"shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand", "hip": "UpLeg", "knee": "Leg", "ankle": "Foot"}
PAIRS = {f"{s}_{ours}": S + theirs for s, S in SIDES for ours, theirs in PARTS.items()}
SIZE, FOV = (640, 480), 60.0


def points(motion):
    """Return where the landmarks of a CMU body are, [T, 33, 3]."""
    s, p = motion.skeleton, motion.world()[1]
    at = {ours: p[:, s.index(theirs)] for ours, theirs in PAIRS.items()}
    for side, theirs in SIDES:
        ankle, toe = p[:, s.index(f"{theirs}Foot")], p[:, s.index(f"{theirs}ToeBase")]
        at[f"{side}_foot_index"] = p[:, s.index(f"{theirs}ToeBase/end")]
        at[f"{side}_heel"] = ankle - 0.3 * (toe - ankle) * torch.tensor([1.0, 0.0, 1.0]) - torch.tensor([0, 0.05, 0])
    q = motion.world()[0][:, s.index("Head")]
    face = {"nose": (0, 0.05, 0.1), "left_ear": (0.08, 0.08, 0), "right_ear": (-0.08, 0.08, 0)}
    for name, place in face.items():
        at[name] = p[:, s.index("Head")] + rotation.rotate(q, torch.tensor(place))
    return torch.stack([at.get(name, at["nose"]) for name in rig.LANDMARKS], 1)


def marks(motion, noise=0.0, pan=0.0, pitch=0.0):
    """Return landmarks as a camera sees them that stands 4.5 m away and turns by ``pan`` radians a frame."""
    p = points(motion)
    middle = p[:, :, [0, 2]].mean((0, 1))
    eye = torch.tensor([float(middle[0]), 1.3, float(middle[1]) + 4.5])
    yaw = pan * (torch.arange(len(p)) - len(p) / 2)
    turn = rotation.mul(rotation.about("x", torch.full_like(yaw, pitch)), rotation.about("y", yaw))
    seen = rotation.rotate(turn[:, None], p - eye) * torch.tensor([1.0, -1.0, -1.0])  # x right, y down, z away
    f = SIZE[0] / 2 / math.tan(math.radians(FOV) / 2)
    image = f * seen[..., :2] / seen[..., 2:] + torch.tensor(SIZE) / 2
    hips = [rig.LANDMARKS.index(f"{s}_hip") for s, _ in SIDES]
    world = seen - seen[:, hips].mean(1, keepdim=True)
    world = world + noise * torch.randn(world.shape, generator=torch.Generator().manual_seed(0))
    flow = torch.tensor([-f * pan, 0.0]).expand(len(p), 2).clone()
    return Landmarks(motion.fps, SIZE, world, image, torch.ones(world.shape[:2]), flow)


def apart(made, truth):
    """Return mean distances, metres, of joints beside the hips and of the path, after one turn for the clip."""
    a = made.world()[1][:, [made.skeleton.index(n) for n in PAIRS]]
    b = truth.world()[1][:, [truth.skeleton.index(n) for n in PAIRS.values()]]
    hips = [list(PAIRS).index(f"{s}_hip") for s, _ in SIDES]
    ra, rb = a[:, hips].mean(1, keepdim=True), b[:, hips].mean(1, keepdim=True)
    x, y = a - ra, b - rb
    crossed = (x[..., 2] * y[..., 0] - x[..., 0] * y[..., 2]).sum()
    turn = rotation.about("y", torch.atan2(crossed, (x[..., [0, 2]] * y[..., [0, 2]]).sum()))
    path = rotation.rotate(turn, ra) - rb
    path = (path - path.mean(0))[..., [0, 2]].norm(dim=-1).mean()
    return float((rotation.rotate(turn, x) - y).norm(dim=-1).mean()), float(path)


@pytest.fixture(scope="module")
def boxing():
    return motif.demo_clip().crop(0, 150).ground()


@pytest.mark.parametrize(("noise", "joints", "path"), [(0.0, 0.035, 0.1), (0.02, 0.045, 0.1)])
def test_landmarks_of_a_clip_come_back_as_its_motion(boxing, noise, joints, path):
    made = lift.lift(marks(boxing, noise), "box", VideoConfig(fov=FOV))
    found = apart(made, boxing)
    assert found[0] < joints and found[1] < path
    assert abs(made.floor()) < 0.02
    assert gates.slip(gates.Measured.of(made)) < 0.05
    bones = (made.positions[:, 1:] - made.positions[:1, 1:]).abs().max()
    assert bones < 1e-6


def test_a_camera_that_pans_and_looks_down_changes_little(boxing):
    config = VideoConfig(fov=FOV)
    still, turning = lift.lift(marks(boxing), "a", config), lift.lift(marks(boxing, pan=0.002, pitch=0.2), "b", config)
    assert apart(turning, boxing)[0] < apart(still, boxing)[0] + 0.02
    assert apart(turning, boxing)[1] < 0.1


def test_height_is_taken_as_told(boxing):
    made = lift.lift(marks(boxing), "tall", VideoConfig(fov=FOV, height=2.0))
    assert made.skeleton.height > 1.15 * lift.lift(marks(boxing), "as it is", VideoConfig(fov=FOV)).skeleton.height


def test_jitter_and_nobody_are_left_out(boxing):
    seen = marks(boxing, 0.06)
    assert [x.reason for x in capture.of_shot(seen, "x")[1]] == ["jitter"]
    gone = marks(boxing)
    gone.visibility[40:80], gone.world[40:80] = 0.0, torch.nan
    motions, left_out = capture.of_shot(gone, "x", VideoConfig(fov=FOV))
    assert [len(m) for m in motions] == [40, 70]
    assert [(x.reason, round(x.start, 2)) for x in left_out] == [("nobody", round(40 / boxing.fps, 2))]
    gap = marks(boxing)
    gap.visibility[40:43], gap.world[40:43] = 0.0, torch.nan
    assert [len(m) for m in capture.of_shot(gap, "x", VideoConfig(fov=FOV))[0]] == [150]


def test_a_body_seen_from_elsewhere_is_another_shot(boxing):
    here = marks(boxing)
    there = here.world * torch.tensor([-1.0, 1.0, -1.0])
    here.world[60:] = there[60:]
    assert capture.uncut(here, 0, 150) == [(0, 60), (60, 150)]
    assert capture.uncut(marks(boxing), 0, 150) == [(0, 150)]


def test_shots_become_clips_of_their_own(boxing, tmp_path):
    video = tmp_path / "film.mp4"
    video.touch()
    whole = marks(boxing)

    def pose(video: Path, film: Film, start: int, stop: int) -> Landmarks:
        return capture.filled(whole, start, stop)

    film = Film(boxing.fps, len(boxing), (0, 60, 70))
    motions, left_out = capture.capture(video, VideoConfig(fov=FOV), pose, lambda video: film)
    assert [(m.name, len(m)) for m in motions] == [("film-1", 60), ("film-2", 80)]
    assert [x.reason for x in left_out] == ["cut"]


def test_curate_reads_videos_and_says_what_it_left_out(boxing, tmp_path, monkeypatch):
    (tmp_path / "film.mp4").touch()
    left = [capture.LeftOut("jitter", "trembles", 1.0, 2.0)]
    monkeypatch.setattr(capture, "capture", lambda path: ([boxing], left))
    assert pipeline.find(tmp_path, videos=True) == [Path("film.mp4")]
    with pytest.raises(MotifError, match="1 videos, which --videos reads"):
        pipeline.find(tmp_path)
    motions, rejects = pipeline.load(tmp_path, Path("film.mp4"), {})
    assert len(motions) == 1 and rejects[0].reason == "jitter" and rejects[0].id.endswith("film.mp4")


def test_what_is_no_video_is_refused_before_any_work(tmp_path):
    for name in ("clip.bvh", "missing.mp4"):
        with pytest.raises(MotifError, match=name):
            capture.capture(tmp_path / name)
    with pytest.raises(MotifError, match="ends in"):
        app(["capture", str(tmp_path / "a.mp4"), "-o", str(tmp_path / "a.glb")], exit_on_error=False)
    with pytest.raises(MotifError, match="fov"):
        VideoConfig(fov=200)


def test_an_environment_that_cannot_be_made_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIF_CACHE", str(tmp_path))
    monkeypatch.setattr(environment, "PACKAGES", ("no-such-package-of-motif==0",))
    monkeypatch.setattr(environment, "_base", lambda: str(tmp_path / "no-python"))
    with pytest.warns(match="1 GB"), pytest.raises(MotifError, match="cannot be made"):
        environment.interpreter()
    assert not environment.ready()


@pytest.mark.skipif(
    not environment.ready(), reason="MediaPipe's environment has not been made (motif capture makes it)"
)
def test_mediapipe_sees_nobody_in_an_empty_film(tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    film = ffmpeg.write_frames(str(tmp_path / "empty.mp4"), (160, 120), fps=20, macro_block_size=2)
    film.send(None)
    for _ in range(30):
        film.send(bytes(160 * 120 * 3))
    film.close()
    motions, left_out = capture.capture(tmp_path / "empty.mp4")
    assert not motions and [x.reason for x in left_out] == ["nobody"]


def test_trembling_is_measured_in_body_heights(boxing):
    seen = marks(boxing)
    assert lift.shake(replace(seen, world=2 * seen.world)) == pytest.approx(lift.shake(seen), rel=1e-3)
    assert lift.shake(seen) < 0.004 < lift.shake(marks(boxing, 0.03))
