"""Archives of strangers unpacked: plain files inside one folder, no more of them than expected, or nothing at all.

Only files that may belong to motion are written; others (code, pictures, archives in archives) are left in. An archive
with a path that leads out, a link, a device, two files of one name or far more in it than its size explains is refused
as a whole. Files go to a hidden folder first that is renamed when all are there, so no folder is ever half a set.
"""

import gzip
import lzma
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ..errors import MotifError
from ..io import READS

ENDINGS = (".zip", ".tar.gz", ".tgz", ".tar.xz")
KEPT = frozenset((*READS, ".asf", ".bin", ".csv", ".jsonl", ".md", ".rst", ""))
"""Endings of files that are written: motion, what lies beside it, and licences (which often have no ending)."""
BLOCK, HEADERS, MEMORY = 1 << 20, 8 << 20, 256 << 20  # bytes: read at a time, of headers in a row, of a decoder
_MAGIC = {".zip": b"PK", ".gz": b"\x1f\x8b", ".tgz": b"\x1f\x8b", ".xz": b"\xfd7zXZ\0"}
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, struct.error)


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold."""

    total: int = 1 << 36
    """Bytes of all files."""
    ratio: float = 100.0
    """Bytes of all files over those of the archive, where they are more than ``free``."""
    free: int = 64 << 20
    files: int = 500_000
    directory: int = 64 << 20
    """Bytes of a zip's list of files."""


class _TooMuch(Exception):
    """More comes out of an archive than is allowed."""


class _Meter:
    """A stream that gives no more than it may: of all, and until the next header is read."""

    def __init__(self, file: IO[bytes], most: int):
        self.file, self.most, self.read_so_far, self.until = file, most, 0, HEADERS

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size if 0 <= size < BLOCK else BLOCK)
        self.read_so_far += len(data)
        if self.read_so_far > min(self.most, self.until):
            raise _TooMuch
        return data

    def allow(self, size: int) -> None:
        """Let so much be read from here on, and some headers."""
        self.until = self.read_so_far + size + HEADERS


class _Xz:
    """The stream in an .xz file, decoded in bounded memory: its header could ask for gigabytes."""

    def __init__(self, file: IO[bytes]):
        self.file, self.decoder = file, lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)

    def read(self, size: int) -> bytes:
        data = b""
        while not data and not self.decoder.eof:
            raw = self.file.read(BLOCK) if self.decoder.needs_input else b""
            if self.decoder.needs_input and not raw:
                raise EOFError("it ends too early")
            data = self.decoder.decompress(raw, size)
        return data


Member = tuple[str, Callable[[], IO[bytes]]]


def unpack(archive: Path, folder: Path, limits: Limits = Limits(), ending: str = "") -> Counter[str]:
    """Unpack an archive into a new folder and return the endings of files that were left in it, with their counts.

    ``ending`` is that of the archive if its name does not say. Errors say what is wrong, and leave nothing behind.
    """
    if folder.exists():
        raise MotifError(f"{folder} is there already; remove it, or choose another with --out")
    size, kind = archive.stat().st_size, ending or archive.name.lower()
    with archive.open("rb") as file:
        start = file.read(6)
    last = next((e for e in _MAGIC if kind.endswith(e)), None)
    if last is None or not kind.endswith(ENDINGS) or not start.startswith(_MAGIC[last]):
        raise MotifError(
            f"{archive}: begins with {start!r}; expected one of {', '.join(ENDINGS)} that is what it is called"
        )
    most = int(min(limits.total, max(limits.ratio * size, limits.free)))
    members = _zip(archive, limits, most) if last == ".zip" else _tar(archive, last, most)
    folder.parent.mkdir(parents=True, exist_ok=True)
    hidden = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        left_in = _write(members, hidden, limits, most)
        hidden.chmod(0o755)
        os.rename(hidden, folder)
    except _TooMuch:
        hint = f"more than {most >> 20} MiB come out of {max(size >> 10, 1)} KiB, or a header has no end"
        raise MotifError(f"{archive}: {hint}; refused as an archive bomb") from None
    except MotifError as error:
        raise MotifError(f"{archive}: {error}; nothing of it was unpacked") from None
    except (*_BROKEN, RuntimeError, NotImplementedError, ValueError) as error:
        raise MotifError(f"{archive}: cannot be unpacked ({error}); get it again, or check the space left") from None
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return left_in


def _write(members: Iterator[Member], folder: Path, limits: Limits, most: int) -> Counter[str]:
    seen: set[str] = set()
    left_in: Counter[str] = Counter()
    written = 0
    for name, open_member in members:
        path = _safe(name)
        if path.as_posix().casefold() in seen:
            raise MotifError(f"two files are called {name[:200]!r}")
        seen.add(path.as_posix().casefold())
        if len(seen) > limits.files:
            raise MotifError(f"holds more than {limits.files} files")
        if path.suffix.lower() not in KEPT or path.name.startswith("."):
            left_in[path.suffix.lower()[:12] or "hidden"] += 1
            continue
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with open_member() as source, target.open("xb") as file:
            while block := source.read(BLOCK):
                written += len(block)
                if written > most:
                    raise _TooMuch
                file.write(block)
    if len(seen) == left_in.total():
        raise MotifError(f"holds no file that could be motion, but {dict(left_in.most_common(4))}")
    return left_in


def _safe(name: str) -> PurePosixPath:
    """Return the path of a member inside the folder; refuse one that leads out of it or is none everywhere."""
    path = PurePosixPath(name)
    odd = not name or len(name) > 1000 or not name.isprintable() or "\\" in name or ":" in name
    if odd or path.is_absolute() or ".." in path.parts or not path.parts:
        raise MotifError(f"the path {name[:200]!r} leads out of the folder or is none")
    return path


def _zip(archive: Path, limits: Limits, most: int) -> Iterator[Member]:
    """Yield the files of a zip; what it says of itself is checked before any is opened."""
    if (size := _directory(archive)) > limits.directory:
        raise MotifError(f"its list of files claims {size >> 20} MiB, the most is {limits.directory >> 20}")
    with zipfile.ZipFile(archive) as file:
        entries = [entry for entry in file.infolist() if not entry.is_dir()]
        if sum(entry.file_size for entry in entries) > most:
            raise _TooMuch
        for entry in entries:
            mode = entry.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise MotifError(f"{entry.filename[:200]!r} is a link or a device")
            if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise MotifError(f"{entry.filename[:200]!r} is encrypted or packed by another method than deflate")
            yield entry.filename, lambda entry=entry: file.open(entry)


def _directory(archive: Path) -> int:
    """Return how many bytes a zip's list of files is said to have, 0 if nothing is said."""
    with archive.open("rb") as file:
        file.seek(max(archive.stat().st_size - (1 << 17), 0))
        tail = file.read()
    at, large = tail.rfind(b"PK\5\6"), tail.rfind(b"PK\6\6")
    if large >= 0:
        return struct.unpack_from("<Q", tail, large + 40)[0]
    return struct.unpack_from("<I", tail, at + 12)[0] if at >= 0 else 0


def _tar(archive: Path, ending: str, most: int) -> Iterator[Member]:
    """Yield the files of a tar as they come; none is kept in memory."""
    with archive.open("rb") as file:
        raw: Any = _Xz(file) if ending == ".xz" else gzip.GzipFile(fileobj=file)
        meter = _Meter(raw, 2 * most)  # headers and padding come on top of the files
        with tarfile.open(fileobj=meter, mode="r|") as tar:  # pyright: ignore[reportCallIssue, reportArgumentType]
            while True:
                tar.members = []  # pyright: ignore[reportAttributeAccessIssue]
                member = tar.next()
                if member is None:
                    return
                meter.allow(max(member.size, 0))
                if member.isdir():
                    _safe(member.name)
                elif not member.isreg() or member.issparse():
                    raise MotifError(f"{member.name[:200]!r} is a link, a device or sparse")
                else:
                    yield member.name, lambda member=member: _opened(tar, member)


def _opened(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    found = tar.extractfile(member)
    assert found is not None
    return found
