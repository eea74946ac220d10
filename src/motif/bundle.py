"""A model as one file: weights and clips as safetensors, and a header that says what they are. Reading executes
nothing."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import MotifError
from .files import replace_file
from .motion import FileFormat, Motion
from .skeleton import Skeleton

VERSION = 1
"""Of the layout of the file; a change comes with a way to read older ones."""


def write(
    path: str | Path,
    engine: str,
    recipe: Mapping[str, Any],
    clips: Sequence[Motion],
    weights: Mapping[str, Tensor],
    seed: int,
) -> Path:
    """Write a model file, whole or not at all.

    Args:
        path: ending in ``.safetensors``; missing folders are made.
        engine: name on the shelf.
        recipe: its fields as plain values.
        clips: what it was made from.
        weights: of its net.
        seed: of its training.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    target = check(path)
    tensors = {f"net.{k}": v.contiguous().cpu() for k, v in weights.items()}
    for k, clip in enumerate(clips):
        tensors[f"clip.{k}.rotations"] = clip.rotations.contiguous()
        tensors[f"clip.{k}.positions"] = clip.positions.contiguous()
    about = {
        "version": VERSION,
        "motif": metadata.version("motif"),
        "engine": engine,
        "recipe": recipe,
        "seed": seed,
        "digest": digest(tensors),
        "skeletons": [asdict(clip.skeleton) for clip in clips],
        "clips": [{"name": c.name, "frame_time": c.frame_time, "style": asdict(c.file_format)} for c in clips],
    }
    try:
        replace_file(target, lambda beside: save_file(tensors, beside, {"motif": json.dumps(about)}))
    except (OSError, SafetensorError) as error:
        raise MotifError(f"{target}: cannot be written ({error}); choose another folder") from None
    return target


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Of all numbers: a flipped bit in a model is as good as another model."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(name.encode() + tensors[name].numpy().tobytes())
    return found.hexdigest()


def check(path: str | Path) -> Path:
    """The path, if a model can have that name."""
    target = Path(path)
    if target.suffix != ".safetensors":
        raise MotifError(f"{target}: a model file's name ends in .safetensors")
    return target


def read(path: str | Path) -> tuple[dict[str, Any], list[Motion], dict[str, Tensor]]:
    """What :func:`write` was given: header, clips, weights.

    Raises:
        MotifError: for a file that is missing, broken, not motif's, or of a newer layout.
    """
    from safetensors import SafetensorError, safe_open

    target = Path(path)
    if target.suffix.lower() in (".bvh", ".glb", ".gltf"):
        raise MotifError(f"{target} is a clip, not a model; motif vary makes takes of clips, motif fit makes models")
    if target.is_dir():
        raise MotifError(f"{target} is a folder; give a model file, which ends in .safetensors")
    if not target.is_file():
        raise MotifError(f"{target} does not exist; motif fit CLIP -o {target.name} makes a model")
    try:
        with safe_open(str(target), "pt") as file:
            header = (file.metadata() or {}).get("motif")
            tensors = {} if header is None else {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise MotifError(f"{target} cannot be read as safetensors ({error}); it is broken or something else") from None
    if header is None:
        raise MotifError(f"{target} is not a motif model: it has no motif header; motif fit makes one")
    try:
        about = json.loads(header)
        version = about["version"]
        if version > VERSION:
            raise MotifError(
                f"{target} was written by motif {about.get('motif')} in layout {version}; this one reads up to "
                f"{VERSION}: update motif"
            )
        clips = [
            Motion(
                _skeleton(skeleton),
                tensors[f"clip.{k}.rotations"],
                tensors[f"clip.{k}.positions"],
                clip["frame_time"],
                clip["name"],
                FileFormat(tuple(map(tuple, clip["style"]["channels"])), clip["style"]["unit"]),
            )
            for k, (skeleton, clip) in enumerate(zip(about["skeletons"], about["clips"], strict=True))
        ]
        whole = about["digest"] == digest(tensors)
        about = {k: about[k] for k in ("engine", "recipe", "seed")}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MotifError(f"{target}: its header is broken ({error!r}); make the model again") from None
    if not whole:
        raise MotifError(f"{target} was changed or damaged after it was written; make the model again")
    if not all(bool(t.isfinite().all()) for t in tensors.values() if t.is_floating_point()):
        raise MotifError(f"{target} holds numbers that are not finite; make the model again")
    return about, clips, {k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")}


def _skeleton(values: Mapping[str, Any]) -> Skeleton:
    known = {f.name for f in fields(Skeleton)}
    if set(values) != known:
        raise KeyError(sorted(set(values) ^ known))

    def tuples(value: Any) -> Any:
        return tuple(map(tuples, value)) if isinstance(value, list) else value

    return Skeleton(**{k: tuples(v) for k, v in values.items()})


def load_weights(net: torch.nn.Module, weights: Mapping[str, Tensor], path: str | Path) -> None:
    """Fill a net, or say what does not fit."""
    try:
        net.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise MotifError(f"{path}: its weights do not fit its recipe ({str(error).splitlines()[-1].strip()})") from None
