"""A model as one file: tensors as safetensors, and a JSON header that says what they are. Reading executes nothing."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .data.domain import Domain
from .errors import MotifError
from .files import replace_file
from .motion import FileFormat, Motion
from .skeleton import from_record, tuples

VERSION = 3  # of the file's layout. Layout 2 had no share, and other weights of ganimator; layout 1 had no domain


@dataclass(frozen=True, eq=False)
class Bundle:
    """What a model file holds."""

    recipe: str
    """Its name."""
    params: Mapping[str, Any]
    """The recipe's hyper-parameters, as plain values."""
    domain: Domain
    weights: Mapping[str, Tensor]
    seed: int
    """Of its training."""
    precision: str
    """That it was trained with."""
    share: float
    """Of its schedule's steps that were taken."""


def _motif_version() -> str:
    """Return motif's version, also where it runs from its sources and is not installed."""
    try:
        return metadata.version("motif")
    except metadata.PackageNotFoundError:
        return "unknown"


def write(path: str | Path, bundle: Bundle) -> Path:
    """Write a model file, whole or not at all; missing folders are made."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    target = check(path)
    tensors = {f"net.{k}": v.contiguous().cpu() for k, v in bundle.weights.items()} | _tensors(bundle.domain)
    header = {
        "version": VERSION,
        "motif": _motif_version(),
        "recipe": bundle.recipe,
        "params": bundle.params,
        "seed": bundle.seed,
        "precision": bundle.precision,
        "share": bundle.share,
        "domain": _about(bundle.domain),
    }
    header["digest"] = digest(tensors, header)
    try:
        replace_file(target, lambda beside: save_file(tensors, beside, {"motif": json.dumps(header)}))
    except (OSError, SafetensorError) as error:
        raise MotifError(f"{target}: cannot be written ({error}); choose another folder") from None
    return target


def digest(tensors: Mapping[str, Tensor], header: Mapping[str, Any] | None = None) -> str:
    """Hash the bytes of tensors of any kind, and a header without its own digest."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        x = tensors[name].detach().cpu().contiguous()
        found.update(f"{name} {x.dtype} {tuple(x.shape)}".encode())
        found.update(x.reshape(-1).view(torch.uint8).numpy().tobytes())
    plain = {k: v for k, v in (header or {}).items() if k != "digest"}
    found.update(json.dumps(plain, sort_keys=True).encode())
    return found.hexdigest()


def fingerprint(domain: Domain) -> str:
    """Return a hash of everything in a domain."""
    return digest(_tensors(domain), _about(domain))


def _tensors(domain: Domain) -> dict[str, Tensor]:
    tensors = {f"statistics.{k}": v.contiguous().cpu() for k, v in domain.statistics.items()}
    for k, clip in enumerate(domain.clips):
        tensors[f"clip.{k}.rotations"] = clip.rotations.contiguous()
        tensors[f"clip.{k}.positions"] = clip.positions.contiguous()
    return tensors


def _about(domain: Domain) -> dict[str, Any]:
    rig = domain.rigs.index
    clips = [
        {"name": c.name, "rig": rig(c.skeleton), "frame_time": c.frame_time, "format": asdict(c.file_format)}
        for c in domain.clips
    ]
    rigs = [asdict(s) for s in domain.rigs]
    return {"rigs": rigs, "frame_time": domain.frame_time, "seconds": domain.seconds, "clips": clips}


def check(path: str | Path) -> Path:
    """Return the path, if a model file can have that name."""
    target = Path(path)
    if target.suffix != ".safetensors":
        raise MotifError(f"{target}: a model file's name ends in .safetensors")
    return target


def read(path: str | Path) -> Bundle:
    """Read what :func:`write` wrote; a file that is missing, broken, changed or of another layout is an error."""
    target = Path(path)
    text, tensors = _load(target)
    try:
        header = json.loads(text)
        version = header["version"]
        if version > VERSION:
            by = f"{target} was written by motif {header.get('motif')} in layout {version}"
            raise MotifError(f"{by}; this one reads up to {VERSION}: update motif")
        if version < VERSION:
            raise MotifError(f"{target} was written by an older motif, in layout {version}; fit it again")
        if header["digest"] != digest(tensors, header):
            raise MotifError(f"{target} was changed or damaged after it was written; make the model again")
        named = {
            kind: {k.removeprefix(f"{kind}."): v for k, v in tensors.items() if k.startswith(f"{kind}.")}
            for kind in ("net", "statistics", "clip")
        }
        domain = _domain(header["domain"], named["statistics"], named["clip"])
        about = {k: header[k] for k in ("recipe", "params", "seed", "precision", "share")}
    except MotifError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise MotifError(f"{target}: its header is broken ({error!r}); make the model again") from None
    if not all(bool(t.isfinite().all()) for t in tensors.values() if t.is_floating_point()):
        raise MotifError(f"{target} holds numbers that are not finite; make the model again")
    return Bundle(domain=domain, weights=named["net"], **about)


def _load(target: Path) -> tuple[str, dict[str, Tensor]]:
    """Return the header's text and the tensors."""
    from safetensors import SafetensorError, safe_open

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
    return header, tensors


def _domain(about: Mapping[str, Any], statistics: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> Domain:
    rigs = tuple(map(from_record, about["rigs"]))
    clips = tuple(
        Motion(
            rigs[clip["rig"]],
            tensors[f"{k}.rotations"],
            tensors[f"{k}.positions"],
            clip["frame_time"],
            clip["name"],
            FileFormat(tuples(clip["format"]["channels"]), clip["format"]["unit"]),
        )
        for k, clip in enumerate(about["clips"])
    )
    return Domain(rigs, about["frame_time"], about["seconds"], statistics, clips)


def load_weights(net: torch.nn.Module, weights: Mapping[str, Tensor], path: str | Path) -> None:
    """Fill a network, or say what does not fit."""
    try:
        net.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise MotifError(f"{path}: its weights do not fit its recipe ({str(error).splitlines()[-1].strip()})") from None
