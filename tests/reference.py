"""A slow, obvious BVH reader and forward kinematics, the oracle of the BVH tests. Uses nothing of motif.

World positions come from 4x4 matrices: ``world = parent * T(local) * R``, where a position channel replaces the
component of OFFSET (``add_root=True`` adds it on the root) and R multiplies the rotation channels in file order.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass
class Reference:
    names: list[str]
    parents: list[int]
    offsets: list[list[float]]
    channels: list[list[str]]
    rows: np.ndarray
    frame_time: float


def load(path: str | Path) -> Reference:
    """Parse a well-formed BVH file; end sites are joints named ``None`` here."""
    raw = Path(path).read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    names, parents, offsets, channels, stack = [], [], [], [], []
    lines = iter(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    for line in lines:
        words = line.replace("{", " { ").replace("}", " } ").split()
        while words:
            word = words.pop(0).lower()
            if word in ("root", "joint", "end"):
                name = []
                while words and words[0] != "{":
                    name.append(words.pop(0))
                names.append(None if word == "end" else " ".join(name))
                parents.append(stack[-1] if stack else -1)
                offsets.append(None)
                channels.append([])
            elif word == "{":
                stack.append(len(names) - 1)
            elif word == "}":
                stack.pop()
            elif word == "offset":
                offsets[stack[-1]] = [float(words.pop(0)) for _ in range(3)]
            elif word == "channels":
                channels[stack[-1]] = [words.pop(0).lower() for _ in range(int(words.pop(0)))]
            elif word == "motion":
                break
        else:
            continue
        break
    frame_time, rows = None, []
    for line in lines:
        if not line.strip() or line.lower().lstrip().startswith("frames"):
            continue
        if line.lower().lstrip().startswith("frame"):
            frame_time = float(line.split(":")[1])
            continue
        rows.append([float(w) for w in line.split()])
    return Reference(names, parents, offsets, channels, np.array(rows), frame_time)


def axis_rotation(axis: str, degrees: np.ndarray) -> np.ndarray:
    """[T, 3, 3] rotation matrices about x, y or z."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    one, zero = np.ones_like(c), np.zeros_like(c)
    rows = {
        "x": [[one, zero, zero], [zero, c, -s], [zero, s, c]],
        "y": [[c, zero, s], [zero, one, zero], [-s, zero, c]],
        "z": [[c, -s, zero], [s, c, zero], [zero, zero, one]],
    }[axis]
    return np.moveaxis(np.array(rows), 2, 0)


def positions(clip: Reference, add_root: bool = False) -> np.ndarray:
    """[T, J, 3] world positions in file units."""
    frames, column = len(clip.rows), 0
    world = []
    result = np.zeros((frames, len(clip.names), 3))
    for j, parent in enumerate(clip.parents):
        local = np.tile(np.eye(4), (frames, 1, 1))
        local[:, :3, 3] = clip.offsets[j]
        for channel in clip.channels[j]:
            value = clip.rows[:, column]
            column += 1
            axis = channel[0]
            if channel.endswith("position"):
                k = "xyz".index(axis)
                local[:, k, 3] = value + (clip.offsets[0][k] if add_root and j == 0 else 0)
            else:
                local[:, :3, :3] = local[:, :3, :3] @ axis_rotation(axis, value)
        world.append(local if parent < 0 else world[parent] @ local)
        result[:, j] = world[-1][:, :3, 3]
    return result
