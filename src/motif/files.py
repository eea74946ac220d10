"""Writing files whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path

from .errors import MotifError


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside ``path`` and put it in its place when it is whole; missing folders are made."""
    beside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(beside)
            mask = os.umask(0)
            os.umask(mask)
            beside.chmod(0o666 & ~mask)  # some writers leave files that only their owner may read
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise MotifError(
            f"{path}: cannot be written ({error.strerror or error}); check the folder, its permissions and space"
        ) from error
