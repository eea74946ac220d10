"""What runs in the environment of the pose estimator: ``python worker.py shots|pose VIDEO OUT [FIRST STOP]``.

It imports nothing of motif, whose pins clash with MediaPipe's. ``shots`` writes JSON: fps, size, frames and the first
frame after each cut; ``pose`` writes an .npz of the frames FIRST to STOP, as :class:`motif.video.Landmarks` has them.
"""

import importlib
import json
import sys
from typing import Any

import numpy as np

HEIGHT = 720  # pixels; larger pictures are made smaller


def cv2() -> Any:
    """Return OpenCV, which comes with MediaPipe."""
    return importlib.import_module("cv2")


def shots(video: str, out: str) -> None:
    """Find the cuts of a film with PySceneDetect's adaptive and content detectors."""
    scenes = importlib.import_module("scenedetect")
    film = scenes.open_video(video)
    manager = scenes.SceneManager()
    manager.add_detector(scenes.ContentDetector(min_scene_len=3))
    manager.detect_scenes(film)
    starts = [scene[0].get_frames() for scene in manager.get_scene_list()]
    capture = cv2().VideoCapture(video)
    frames = 0
    while capture.grab():
        frames += 1
    size = [int(capture.get(cv2().CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2().CAP_PROP_FRAME_HEIGHT))]
    found = {"fps": capture.get(cv2().CAP_PROP_FPS), "size": size, "frames": frames, "starts": starts or [0]}
    with open(out, "w", encoding="utf-8") as file:
        json.dump(found, file)


def pose(video: str, out: str, first: int, stop: int) -> None:
    """Estimate 33 landmarks in each frame of a shot, and how far the background moves from frame to frame."""
    solutions = importlib.import_module("mediapipe").solutions
    capture = cv2().VideoCapture(video)
    for _ in range(first):
        capture.grab()
    kept: dict[str, list[np.ndarray]] = {"world": [], "image": [], "visibility": [], "flow": []}
    before = None
    with solutions.pose.Pose(model_complexity=1, smooth_landmarks=False) as model:
        for _ in range(first, stop):
            read, picture = capture.read()
            if not read:
                break
            picture = _smaller(picture)
            result = model.process(cv2().cvtColor(picture, cv2().COLOR_BGR2RGB))
            found = _landmarks(result, picture.shape)
            grey = cv2().cvtColor(picture, cv2().COLOR_BGR2GRAY)
            found["flow"] = _flow(before, grey, found["image"])
            before = grey
            for key, values in kept.items():
                values.append(found[key])
    size = np.array([before.shape[1], before.shape[0]] if before is not None else [0, 0])
    rows = {k: np.stack(v) for k, v in kept.items()}
    np.savez(out, size=size, world=rows["world"], image=rows["image"], visibility=rows["visibility"], flow=rows["flow"])


def _smaller(picture: np.ndarray) -> np.ndarray:
    scale = HEIGHT / picture.shape[0]
    return cv2().resize(picture, None, fx=scale, fy=scale) if scale < 1 else picture


def _landmarks(result: Any, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Positions in the world (metres, x right, y down, z away) and in the picture (pixels); NaN where nobody is."""
    if result.pose_landmarks is None:
        nothing = np.full((33, 3), np.nan)
        return {"world": nothing, "image": nothing[:, :2], "visibility": np.zeros(33)}
    world = [(p.x, p.y, p.z) for p in result.pose_world_landmarks.landmark]
    image = [(p.x * shape[1], p.y * shape[0]) for p in result.pose_landmarks.landmark]
    visible = [p.visibility for p in result.pose_landmarks.landmark]
    return {"world": np.array(world), "image": np.array(image), "visibility": np.array(visible)}


def _flow(before: np.ndarray | None, now: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Return the median movement, pixels, of corners that are not on the person; NaN where there are too few."""
    if before is None:
        return np.zeros(2)
    mask = np.full(before.shape, 255, np.uint8)
    if np.isfinite(person).all():
        low, high = person.min(0), person.max(0)
        margin = 0.25 * (high - low) + 4
        (x0, y0), (x1, y1) = np.maximum(low - margin, 0).astype(int), np.maximum(high + margin, 0).astype(int)
        mask[y0:y1, x0:x1] = 0
    corners = cv2().goodFeaturesToTrack(before, 200, 0.02, 8, mask=mask)
    if corners is None or len(corners) < 8:
        return np.full(2, np.nan)
    moved, good, _ = cv2().calcOpticalFlowPyrLK(before, now, corners, None)
    shift = (moved - corners)[good.ravel() == 1].reshape(-1, 2)
    return np.median(shift, 0) if len(shift) >= 8 else np.full(2, np.nan)


if __name__ == "__main__":
    if sys.argv[1] == "shots":
        shots(sys.argv[2], sys.argv[3])
    else:
        pose(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
