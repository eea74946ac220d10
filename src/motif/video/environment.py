"""Python environments of their own for what cannot share ours: made once, under a cache folder, and used again."""

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from ..errors import MotifError, MotifWarning

PACKAGES = ("mediapipe==0.10.21", "scenedetect==0.6.7.1")
"""The last MediaPipe whose wheel holds the weights (Apache-2.0); it needs numpy below 2."""
PYTHONS = ("3.11", "3.12", "3.10", "3.9")
WORKER = Path(__file__).with_name("worker.py")


def folder() -> Path:
    """Return where the environment is, or will be: below ``$MOTIF_CACHE``, else ``~/.cache/motif``."""
    return Path(os.environ.get("MOTIF_CACHE") or Path.home() / ".cache" / "motif") / PACKAGES[0].replace("==", "-")


def python_of(place: Path) -> Path:
    """Return the interpreter of an environment."""
    return place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def ready() -> bool:
    """Whether the environment is there, whole."""
    return (folder() / "complete").is_file()


def interpreter() -> Path:
    """Return the interpreter of the pose estimator's environment, which is made if it is not there."""
    place = folder()
    if ready():
        return python_of(place)
    warnings.warn(
        f"making an environment for {PACKAGES[0]} in {place}, once: about 1 GB, a minute or two", MotifWarning, 2
    )
    if place.exists():  # half made
        shutil.rmtree(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    _run([_base(), "-m", "venv", str(place)], "the environment cannot be made")
    install = [str(python_of(place)), "-m", "pip", "install", "--quiet", *PACKAGES]
    _run(install, f"{' and '.join(PACKAGES)} cannot be installed; is the package index reached?")
    (place / "complete").touch()
    return python_of(place)


def _base() -> str:
    """Return a Python that MediaPipe has wheels for."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" in PYTHONS:
        return sys.executable
    if found := next((p for v in PYTHONS if (p := shutil.which(f"python{v}"))), None):
        return found
    raise MotifError(
        f"{PACKAGES[0]} needs Python {PYTHONS[-1]} to {PYTHONS[1]}, this is {sys.version.split()[0]}; "
        f"install python{PYTHONS[0]} beside it"
    )


def work(arguments: Sequence[str]) -> None:
    """Run the worker in its environment, as a process of its own, and wait for it."""
    _run([str(interpreter()), str(WORKER), *arguments], f"{' '.join(arguments[:2])} failed")


def _run(command: Sequence[str], trouble: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise MotifError(f"{trouble}: {error}") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no words"])[-1][:300]
        raise MotifError(f"{trouble} ({last}); try by hand: {' '.join(command)}")
