"""AMASS in: SMPL, SMPL-H and SMPL-X poses as .npz files, axis angles a joint and the place of the body.

Read are ``trans`` [T, 3] (metres, Z up), ``poses`` [T, 3 J] (radians; the first joints are the body's whatever J is) or
``root_orient`` and ``pose_body``, and ``mocap_framerate`` or ``mocap_frame_rate``. The motion has the joints of SMPL's
body; fingers, face, shape (``betas``) and soft tissue are left out. Body models are not free, so everybody's bones are
those of one plain person (:mod:`motif.io.smpl`): rotations are exact, joints are some centimetres from where the model
would have them, and feet may stand that much above or below the ground.

Memory: nothing is unpickled, and an array's size is checked by its header before any of it is unpacked.
"""

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from .. import rotation
from ..config import ReadConfig
from ..errors import MotifError
from ..motion import Motion
from .npy import UNREADABLE
from .smpl import NAMES, OFFSETS, motion_of

LARGEST = 512 << 20  # bytes of an array
RATES = ("mocap_framerate", "mocap_frame_rate")
_PARTS = ("root_orient", "pose_body")


def looks_like(path: Path) -> bool:
    """Whether a file lists what a motion has; one that cannot be opened counts, so that it is named as broken."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return True
    return "trans.npy" in names and any(f"{key}.npy" in names for key in ("poses", "pose_body"))


def read(path: str | Path, config: ReadConfig = ReadConfig()) -> Motion:
    """Read a file of AMASS; raise an error that names the array at fault."""
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
            keys = ("poses",) if "poses" in names else _PARTS
            rate = next((key for key in RATES if key in names), RATES[0])
            missing = [key for key in (*keys, "trans", rate) if key not in names]
            if missing:
                expected = f"trans, poses (or {' and '.join(_PARTS)}) and {' or '.join(RATES)}"
                hint = "a file of a body's shape alone holds no motion" if "betas" in names else "is it from AMASS?"
                raise MotifError(f"{path}: has no {missing[0]!r}; expected {expected}: {hint}")
            poses = np.concatenate([_array(archive, key, path, 2) for key in keys], 1)
            trans, fps = _array(archive, "trans", path, 2), float(_array(archive, rate, path, 0))
    except MotifError:
        raise
    except (*UNREADABLE, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise MotifError(f"{path}: is no readable .npz file ({str(error)[:80]}); get the file again") from None
    body = 3 * len(NAMES)
    if poses.shape[1] < body or poses.shape[1] % 3 or trans.shape != (len(poses), 3) or not len(poses):
        found = f"poses {list(poses.shape)} and trans {list(trans.shape)}"
        raise MotifError(f"{path}: {found}; expected [T, {body} or more, three a joint] and [T, 3] with T at least 1")
    if not 1 <= fps <= 1000:
        raise MotifError(f"{path}: {rate} is {fps:g}; expected frames a second, 1 to 1000")
    x, root = torch.from_numpy(poses[:, :body]), torch.from_numpy(trans)
    local = rotation.exp(x.unflatten(1, (-1, 3)))
    upright = rotation.about("x", x.new_tensor(-torch.pi / 2))  # Z up to Y up
    local[:, 0] = rotation.mul(upright, local[:, 0])
    return motion_of(torch.tensor(OFFSETS).double(), local, rotation.rotate(upright, root), fps, path, config)


def _array(archive: zipfile.ZipFile, key: str, path: Path, dimensions: int) -> np.ndarray:
    """Return one array of numbers, with as many dimensions as said."""
    entry = archive.getinfo(f"{key}.npy")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others unpack without a limit
        raise MotifError(f"{path}: {key} is packed by a method that numpy does not use; save the file with numpy again")
    with archive.open(entry) as file:
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(np.lib.format.read_magic(file))
        if read_header is None:
            raise MotifError(f"{path}: {key} has a header of another version; save the file with numpy again")
        shape, columns_first, dtype = read_header(file)
        if dtype.kind not in "fiu" or len(shape) != dimensions:
            raise MotifError(f"{path}: {key} is {dtype} {list(shape)}; expected numbers in {dimensions} dimensions")
        size = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
        if not 0 <= size <= LARGEST:
            raise MotifError(f"{path}: {key} claims {size >> 20} MiB, the most is {LARGEST >> 20}; cut the take")
        raw = io.BytesIO(file.read(size)).getvalue()
    if len(raw) < size:
        raise MotifError(f"{path}: {key} ends after {len(raw)} of {size} bytes; get the file again")
    values = np.frombuffer(raw, dtype).reshape(shape, order="F" if columns_first else "C").astype(np.float64)
    if not np.isfinite(values).all():
        raise MotifError(f"{path}: {key} holds numbers that are not finite; get the file again")
    return values
