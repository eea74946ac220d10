"""Rows of plain decimal numbers, read and written all at once: most of a motion file is nothing else."""

from collections.abc import Iterator

import numpy as np

from .. import parallel

BLOCK = 1 << 19  # bytes read at a time, so that what is made on the way stays in the cache
LONG = 20  # bytes from which numbers are not told apart: all have too many digits
DIGITS = 15  # of a number read here, all of which a float64 holds; what is longer or has an exponent is left to Python

_THREE = np.array([[*b"%03d" % n] for n in range(1000)], np.uint8)
_THREE_SHORT = np.where(np.array([[n > 99, n > 9, True] for n in range(1000)]), _THREE, 0).astype(np.uint8)


def read_rows(text: bytes, width: int) -> np.ndarray:
    """Return the numbers of lines with ``width`` of them each, [T, width] float64, rounded as Python rounds them.

    Blank lines are left out. Raises ValueError where a line has another count or something is no number.
    """
    rows = parallel.parallel_map(lambda block: _read_block(block, width), _blocks(text))
    return np.concatenate(rows) if rows else np.zeros((0, width))


def _blocks(text: bytes) -> Iterator[bytes]:
    """Yield whole lines, about ``BLOCK`` bytes at a time."""
    start = 0
    while start < len(text):
        stop = text.find(b"\n", min(start + BLOCK, len(text)))
        stop = len(text) if stop < 0 else stop + 1
        yield text[start:stop]
        start = stop


def _read_block(text: bytes, width: int) -> np.ndarray:
    """Read numbers of one shape (length, place of the point, sign) together, digit by digit."""
    line = np.frombuffer(b"\n" + text + b"\n", np.uint8)
    blank = line <= ord(" ")
    if blank.sum() > sum(int((line == code).sum()) for code in b" \t\n\r\v\f"):
        raise ValueError("a control character")
    edges = np.flatnonzero(blank[1:] != blank[:-1]) + 1
    starts, stops = edges[::2], edges[1::2]
    counts = np.diff(np.searchsorted(starts, np.flatnonzero(line == ord("\n"))))
    if not np.all((counts == 0) | (counts == width)):
        raise ValueError("a line with another number of values")
    points = np.flatnonzero(line == ord("."))
    of = np.searchsorted(starts, points, "right") - 1
    length, point = stops - starts, stops - starts
    point[of] = points - starts[of]  # as far as the end where there is none
    signed = (line[starts] == ord("-")) | (line[starts] == ord("+"))
    length, point = np.minimum(length, LONG), np.minimum(point, LONG)
    shape = (length * (LONG + 1) + point) * 2 + signed
    order = np.argsort(shape.astype(np.uint16), kind="stable")
    cuts = np.flatnonzero(np.diff(shape[order], prepend=-1, append=-1))
    values = np.empty(len(starts))
    for group in (order[a:b] for a, b in zip(cuts, cuts[1:], strict=False)):
        begin, n, at, sign = starts[group], int(length[group[0]]), int(point[group[0]]), int(signed[group[0]])
        places = [k for k in range(sign, n) if k != at]
        odd = np.full(len(group), not 1 <= len(places) <= DIGITS)
        found = np.zeros(len(group))
        for k in places[:DIGITS]:
            digit = line[begin + k] - np.uint8(ord("0"))
            odd |= digit > 9
            found *= 10
            found += digit
        found /= 10.0 ** max(n - 1 - at, 0)
        values[group] = np.where(line[begin] == ord("-"), -found, found)
        for k in group[odd]:
            values[k] = _number(line[starts[k] : stops[k]].tobytes())
    return values.reshape(-1, width)


def _number(word: bytes) -> float:
    if b"_" in word:  # only Python reads 1_000
        raise ValueError(word)
    return float(word)


def write_rows(values: np.ndarray) -> str:
    """Return lines of numbers, [T, C], with six decimals each, rounded half to even; no zero has a sign."""
    if not values.size or not np.abs(values).max() < 999_999.9999995:  # NaN, too
        row = " ".join(["%.6f"] * values.shape[1]) + "\n"
        return "".join([row % tuple(numbers) for numbers in (np.round(values, 6) + 0.0).tolist()])
    step = max(BLOCK // 8 // values.shape[1], 1)
    return "".join([_write_block(values[k : k + step]) for k in range(0, len(values), step)])


def _write_block(values: np.ndarray) -> str:
    """Write digits in groups of three, each number in as many bytes, and leave out those that stay zero."""
    millionths = np.rint(values * 1e6).astype(np.int64).reshape(-1)
    size = np.abs(millionths)
    whole = size // 1_000_000
    rest = (size - whole * 1_000_000).astype(np.int32)
    whole, high = whole.astype(np.int32), rest // 1000
    text = np.zeros((len(whole), 15), np.uint8)
    text[:, 0] = (millionths < 0) * np.uint8(ord("-"))
    text[:, 4:7] = _THREE_SHORT[whole % 1000]
    large = np.flatnonzero(whole > 999)
    text[large, 1:4], text[large, 4:7] = _THREE_SHORT[whole[large] // 1000], _THREE[whole[large] % 1000]
    text[:, 7] = ord(".")
    text[:, 8:11], text[:, 11:14] = _THREE[high], _THREE[rest - high * 1000]
    text[:, 14] = ord(" ")
    text.reshape(*values.shape, 15)[:, -1, 14] = ord("\n")
    flat = text.reshape(-1)
    return flat[flat != 0].tobytes().decode("ascii")
