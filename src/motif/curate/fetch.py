"""Files from the web: resumed where they broke off, checked, and in place only when they are whole."""

import hashlib
import http.client
import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import MotifError

BLOCK, TIMEOUT, TRIES = 1 << 20, 30.0, 4
LARGEST = 1 << 36  # bytes
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
Progress = Callable[[float], None]


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_address(url: str) -> None:
    """Refuse what is not encrypted, but on this machine."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise MotifError(f"{url}: expected an address that begins with https://")


def download(url: str, path: Path, sha256: str = "", progress: Progress = lambda fraction: None) -> str:
    """Bring a file here and return its SHA-256; raise an error if it is not the one expected.

    What arrived of a download that broke off lies beside it, ``path`` with ``.part`` added, and the next call goes on
    from there if the file is still the same on the server (its ETag, or else its date).
    """
    _check_address(url)
    if sha256 and (len(sha256) != 64 or set(sha256.lower()) - set("0123456789abcdef")):
        raise MotifError(f"--sha256 {sha256!r}; expected 64 hexadecimal digits")
    part, known = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.json")
    if not path.is_file():
        for tries_left in reversed(range(TRIES)):
            before = _size(part)
            try:
                _request(url, part, known, progress)
                break
            except urllib.error.HTTPError as error:
                raise MotifError(f"{url}: the server says {error.code} {error.reason}; is the address right?") from None
            except (OSError, http.client.HTTPException) as error:
                if tries_left and _size(part) > before:
                    continue
                at = f"{_size(part) >> 20} MiB are here and the same command goes on from there"
                raise MotifError(f"{url}: broke off ({getattr(error, 'reason', error) or error}); {at}") from None
    found = _digest(path if path.is_file() else part)
    if sha256 and found != sha256.lower():
        for file in (path, part, known):
            file.unlink(missing_ok=True)
        raise MotifError(
            f"{url}: SHA-256 is {found}, expected {sha256.lower()}; it was deleted, do not trust the source"
        )
    if part.is_file():
        os.replace(part, path)
        known.unlink(missing_ok=True)
    return found


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _tag(url: str, known: Path) -> str | None:
    """Return what told the file of an earlier try from others."""
    try:
        return json.loads(known.read_text("utf-8")).get(url)
    except (OSError, ValueError, AttributeError):
        return None


def _request(url: str, part: Path, known: Path, progress: Progress) -> None:
    """Ask for what is missing of a file and write it until it is whole; raise OSError where it breaks off."""
    here, headers = _size(part), {"User-Agent": "motif", "Accept-Encoding": "identity"}
    tag = _tag(url, known)
    if here and tag:
        headers |= {"Range": f"bytes={here}-", "If-Range": tag}
    else:
        here = 0
    opener = urllib.request.build_opener(_Redirects)
    try:
        answer = opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{here}":  # nothing is missing
            return
        if error.code != 416:
            raise
        part.unlink(missing_ok=True)
        _request(url, part, known, progress)
        return
    with answer:
        span = answer.headers.get("Content-Range", "")
        here = here if answer.status == 206 and span.startswith(f"bytes {here}-") else 0
        length = answer.headers.get("Content-Length", "")
        total = here + int(length) if length.isdigit() else 0
        free = shutil.disk_usage(part.parent).free
        if total > LARGEST or total - here > free:
            raise MotifError(f"{url}: has {total >> 20} MiB; there is room for {min(free, LARGEST) >> 20}")
        etag = answer.headers.get("ETag", "")
        tag = etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified")
        known.write_text(json.dumps({url: tag}), "utf-8")
        with part.open("ab" if here else "wb") as file:
            while block := answer.read(BLOCK):
                file.write(block)
                here += len(block)
                if here > LARGEST:
                    raise MotifError(f"{url}: has more than {LARGEST >> 30} GiB; that is no archive of motion")
                progress(here / total if total else 0.0)
        if total and here < total:
            raise ConnectionError(f"{here} of {total} bytes arrived")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
