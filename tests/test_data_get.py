"""Sets by name: resumed and checked downloads from this machine, and archives that are safe or refused."""

import contextlib
import gzip
import hashlib
import io
import lzma
import os
import stat
import struct
import tarfile
import threading
import zipfile
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest import mock

import pytest

from motif.curate import fetch, sets, sources, unpack
from motif.curate.unpack import Limits
from motif.errors import MotifError
from test_cli import run

BVH = b"HIERARCHY\nROOT hips\n" + bytes(range(32, 127)) * 40


class Server(ThreadingHTTPServer):
    """Serves one archive; ``breaks`` says after how many bytes each answer ends."""

    def __init__(self, body):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.breaks, self.tag, self.asked, self.ranges = body, [], '"one"', [], True
        self.url = f"http://127.0.0.1:{self.server_port}/sets/walks.zip"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        s = self.server
        asked = self.headers.get("Range")
        s.asked.append(asked)
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path[4:])
            self.end_headers()
            return
        same = self.headers.get("If-Range") == s.tag and s.ranges
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and same else 0
        if start >= len(s.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(s.body)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(s.body) - 1}/{len(s.body)}")
        self.send_header("Content-Length", str(len(s.body) - start))
        self.send_header("ETag", s.tag)
        self.end_headers()
        stop = s.breaks.pop(0) if s.breaks else None
        self.wfile.write(s.body[start : None if stop is None else start + stop])

    def log_message(self, *arguments):
        pass


def zipped(files, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(members, pack=gzip.compress):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for member, data in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return pack(out.getvalue())


def kind_of(name, kind, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.fixture
def server():
    with contextlib.closing(Server(zipped({"walks/a.bvh": BVH, "walks/run.py": b"", "LICENSE": b"MIT"}))) as server:
        server.close = server.server_close
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_download_that_breaks_off_goes_on(server, tmp_path):
    server.breaks = [100, 200]
    done = []
    digest = fetch.download(server.url, tmp_path / "a.zip", hashlib.sha256(server.body).hexdigest(), done.append)
    assert (tmp_path / "a.zip").read_bytes() == server.body and digest == hashlib.sha256(server.body).hexdigest()
    assert server.asked == [None, "bytes=100-", "bytes=300-"] and done[-1] == 1.0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip"]


def test_the_next_call_goes_on_and_a_changed_file_begins_again(server, tmp_path):
    server.breaks = [100, 0]
    with pytest.raises(MotifError, match=r"broke off .* the same command goes on"):
        fetch.download(server.url, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists() and (tmp_path / "a.zip.part").stat().st_size == 100
    server.tag = '"two"'
    server.body = server.body + b"more"
    fetch.download(server.url, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == server.body and server.asked[-1] == "bytes=100-"


def test_a_server_without_ranges_and_a_whole_part(server, tmp_path):
    server.breaks, server.ranges = [100, 50], False
    with pytest.raises(MotifError):
        fetch.download(server.url, tmp_path / "a.zip")
    fetch.download(server.url, tmp_path / "a.zip")
    server.ranges = True
    (tmp_path / "a.zip").rename(tmp_path / "b.zip.part")
    (tmp_path / "b.zip.part.json").write_text(f'{{"{server.url}": "\\"one\\""}}')
    fetch.download(server.url, tmp_path / "b.zip")
    assert (tmp_path / "b.zip").read_bytes() == server.body and server.asked[-1] == f"bytes={len(server.body)}-"


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(MotifError, match=r"SHA-256 is .*, expected 000"):
        fetch.download(server.url, tmp_path / "a.zip", "0" * 64)
    assert not list(tmp_path.iterdir())
    with pytest.raises(MotifError, match="64 hexadecimal digits"):
        fetch.download(server.url, tmp_path / "a.zip", "12")


def test_addresses_that_are_not_encrypted_are_refused(server, tmp_path):
    for url in ("http://example.org/a.zip", "file:///etc/passwd", "ftp://x/a.zip"):
        with pytest.raises(MotifError, match="begins with https"):
            fetch.download(url, tmp_path / "a.zip")
    there = server.url.replace("/sets/walks.zip", "/to/http://example.org/a.zip")
    with pytest.raises(MotifError, match="begins with https"):
        fetch.download(there, tmp_path / "a.zip")
    with pytest.raises(MotifError, match="broke off"):
        fetch.download("http://127.0.0.1:9/a.zip", tmp_path / "a.zip")


def test_get_downloads_unpacks_and_says_what_is_next(server, tmp_path):
    code, out, err = run("data", "get", server.url, "-o", tmp_path / "raw", "--accept")
    assert code == 0, err
    assert out.strip() == str(tmp_path / "raw" / "walks") and "SHA-256" in err and "1 .py" in err
    assert (tmp_path / "raw" / "walks" / "walks" / "a.bvh").read_bytes() == BVH
    assert sorted(p.name for p in (tmp_path / "raw").iterdir()) == ["walks"]
    code, _, err = run("data", "get", server.url, "-o", tmp_path / "raw", "--accept")
    assert code == 2 and "there already" in err


def test_get_asks_for_the_licence_and_for_names_it_knows(server, tmp_path):
    with mock.patch("sys.stdin", io.StringIO("")):
        code, _, err = run("data", "get", server.url, "-o", tmp_path)
    assert code == 2 and "--accept" in err and not server.asked
    assert "no set is called" in run("data", "get", "nonesuch", "-o", tmp_path)[2]
    assert "register" in run("data", "get", "amass", "--accept", "-o", tmp_path)[2]
    assert "expected an archive" in run("data", "get", "https://x.org/a.exe", "--accept", "-o", tmp_path)[2]
    code, out, _ = run("data", "list")
    assert code == 0 and all(one.name in out and one.licence in out for one in sets.SETS)


def test_the_table_is_sound():
    for one in sets.SETS:
        assert bool(one.url) != bool(one.how) and len(one.sha256) in (0, 64)
        if one.url:
            assert one.url.endswith(unpack.ENDINGS) and one.url.startswith("https://")
    assert sources.of(fetch.Path("lafan1/walk1_subject1.bvh"), ()).licence == sets.named("lafan1").licence
    for name in ("cmu-mocap", "deepmimic", "reactidle"):
        assert sources.of(fetch.Path(name) / "x" / "a.bvh", ()).licence == sets.named(name).licence


@pytest.mark.parametrize("ending", unpack.ENDINGS)
def test_archives_are_unpacked(tmp_path, ending):
    files = {"a/x.bvh": BVH, "a/b/y.csv": b"1,2", "a/z.exe": b"MZ", "a/.hidden": b"", "README": b"hello"}
    tar = [(kind_of("a", tarfile.DIRTYPE), b""), *files.items()]
    made = {".zip": zipped(files), ".tar.xz": tarred(tar, lzma.compress)}.get(ending) or tarred(tar)
    (tmp_path / f"s{ending}").write_bytes(made)
    left_in = unpack.unpack(tmp_path / f"s{ending}", tmp_path / "s")
    assert dict(left_in) == {".exe": 1, "hidden": 1}
    found = {p.relative_to(tmp_path / "s").as_posix() for p in (tmp_path / "s").rglob("*") if p.is_file()}
    assert found == {"a/x.bvh", "a/b/y.csv", "README"} and (tmp_path / "s" / "a" / "x.bvh").read_bytes() == BVH


def refused(tmp_path, name, data, says, **limits):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(MotifError, match=says):
        unpack.unpack(tmp_path / name, tmp_path / "set", Limits(**limits))
    assert [p.name for p in tmp_path.iterdir()] == [name], "something was left behind"
    (tmp_path / name).unlink()


@pytest.mark.parametrize("path", ["../a.bvh", "a/../../b.bvh", "/etc/a.bvh", "C:/a.bvh", "a\\..\\b.bvh", "a\nb.bvh"])
def test_paths_that_lead_out_are_refused(tmp_path, path):
    refused(tmp_path, "s.tar.gz", tarred([("ok.bvh", BVH), (path, BVH)]), "leads out")
    name = path.replace("\\", "/") if os.sep == "\\" else path
    refused(tmp_path, "s.zip", zipped({"ok.bvh": BVH, name: BVH}), "leads out")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    refused(tmp_path, "s.tar.xz", tarred([(kind_of("a.bvh", kind, "/etc/passwd"), b"")], lzma.compress), "a link")


def test_odd_zips_are_refused(tmp_path):
    link = zipfile.ZipInfo("a.bvh")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused(tmp_path, "s.zip", zipped({link: b"/etc/passwd"}), "a link or a device")
    refused(tmp_path, "s.zip", zipped({"a.bvh": BVH}, zipfile.ZIP_LZMA), "another method")
    refused(tmp_path, "s.zip", zipped({"a.bvh": BVH, "A.BVH": BVH}), "two files are called")
    refused(tmp_path, "s.zip", zipped({"a.exe": BVH}), "no file that could be motion")
    refused(tmp_path, "s.zip", zipped({"a.bvh": BVH, "a.bvh/b.bvh": BVH}), "cannot be unpacked")
    refused(tmp_path, "s.zip", zipped({f"{k}.bvh": b"" for k in range(9)}), "more than 5 files", files=5)
    refused(tmp_path, "s.zip", zipped({f"{k}.bvh": b"" for k in range(99)}), "its list of files", directory=99)
    whole = zipped({"a.bvh": BVH})
    refused(tmp_path, "s.zip", whole[: len(whole) // 2], "cannot be unpacked")
    at = whole.index(zlib.compress(BVH)[2:20]) + 30
    refused(tmp_path, "s.zip", whole[:at] + b"\0\0\0\0" + whole[at + 4 :], "cannot be unpacked")


def test_what_is_not_what_it_is_called_is_refused(tmp_path):
    refused(tmp_path, "s.zip", tarred([("a.bvh", BVH)]), "expected one of .zip")
    refused(tmp_path, "s.tar.gz", zipped({"a.bvh": BVH}), "expected one of .zip")
    refused(tmp_path, "s.rar", zipped({"a.bvh": BVH}), "expected one of .zip")
    refused(tmp_path, "s.tar.gz", gzip.compress(b"no tar" * 999), "cannot be unpacked")
    refused(tmp_path, "s.tar.gz", tarred([("a.bvh", BVH)])[:60], "cannot be unpacked")


def test_bombs_are_refused(tmp_path):
    zeros = bytes(3 << 20)
    small = {"free": 1 << 20}
    refused(tmp_path, "s.zip", zipped({"a.bvh": zeros}), "archive bomb", **small)
    refused(tmp_path, "s.tar.gz", tarred([("a.bvh", zeros)]), "archive bomb", **small)
    refused(tmp_path, "s.tar.xz", tarred([("a.exe", zeros), ("b.bvh", zeros)], lzma.compress), "bomb", **small)
    refused(tmp_path, "s.zip", zipped({"a.bvh": os.urandom(4096)}), "archive bomb", total=4000)
    lying = bytearray(zipped({"a.bvh": zeros}))  # a list that says less than there is
    at = lying.index(b"PK\1\2")
    struct.pack_into("<I", lying, at + 24, 1000)
    refused(tmp_path, "s.zip", bytes(lying), "cannot be unpacked|archive bomb", **small)


def test_headers_without_end_are_refused_in_bounded_memory(tmp_path):
    """A pax header or a long name that claims a gigabyte, which tarfile would read at once."""
    import tracemalloc

    for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
        info = kind_of("x", kind)
        info.size = 1 << 30
        packed, pack = [], zlib.compressobj(9, zlib.DEFLATED, 31)
        packed.append(pack.compress(info.tobuf(tarfile.USTAR_FORMAT)))
        packed += [pack.compress(bytes(1 << 20)) for _ in range(64)]
        packed.append(pack.flush())
        tracemalloc.start()
        refused(tmp_path, "s.tar.gz", b"".join(packed), "archive bomb")
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
        tracemalloc.stop()


def test_a_decoder_that_asks_for_gigabytes_is_refused(tmp_path):
    raw = lzma.compress(tarred([("a.bvh", BVH)], bytes), filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}])
    at = raw.index(b"\x21\x01") + 2  # the size of the dictionary in the header of the block, which a checksum follows
    header = bytearray(raw[12 : 12 + (raw[12] + 1) * 4])
    header[at - 12] = 40  # 4 GiB
    struct.pack_into("<I", header, len(header) - 4, zlib.crc32(header[:-4]))
    refused(tmp_path, "s.tar.xz", raw[:12] + bytes(header) + raw[12 + len(header) :], "Memory usage limit")
