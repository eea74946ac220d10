"""Torch's number of threads is what it was, whoever used one thread, however their uses overlapped."""

import ast
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from motif.parallel import parallel_map, single_thread


@pytest.fixture(autouse=True)
def three():
    """Three threads in this test, for this thread and new ones."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def fresh() -> int:
    """The number that a new thread gets."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


class Walker:
    """A thread that enters, nests and leaves when it is told to."""

    def __init__(self):
        self.pool, self.inside = ThreadPoolExecutor(1), []

    def do(self, call):
        return self.pool.submit(call).result()

    def enter(self):
        self.inside.append(single_thread())
        self.do(self.inside[-1].__enter__)

    def leave(self):
        self.do(lambda: self.inside.pop().__exit__(None, None, None))

    def number(self):
        return self.do(torch.get_num_threads)


def test_one_use():
    with single_thread():
        assert torch.get_num_threads() == 1
        assert fresh() == 1
        with single_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3
    assert fresh() == 3


def test_it_is_put_back_when_a_use_fails():
    with pytest.raises(KeyError), single_thread():
        raise KeyError
    assert (torch.get_num_threads(), fresh()) == (3, 3)


def test_a_stream_beside_a_sample():
    """The stream's thread begins while the main thread is inside, and ends after it."""
    stream = Walker()
    with single_thread():
        stream.enter()
    assert torch.get_num_threads() == 3
    assert (stream.number(), fresh()) == (1, 1)
    stream.leave()
    assert (torch.get_num_threads(), stream.number(), fresh()) == (3, 3, 3)


@pytest.mark.parametrize("order", set(itertools.permutations("aabb")))
@pytest.mark.parametrize("known", [False, True])
def test_overlaps_in_any_order(order, known):
    """Two threads, each entering and leaving; ``known``: torch has been used in them before."""
    walkers = {"a": Walker(), "b": Walker()}
    if known:
        assert [w.number() for w in walkers.values()] == [3, 3]
    for name in order:
        walker = walkers[name]
        if walker.inside:
            walker.leave()
        else:
            walker.enter()
            assert walker.number() == 1
        inside = [w for w in walkers.values() if w.inside]
        assert all(w.number() == 1 for w in inside)
        assert fresh() == (1 if inside else 3)
        assert torch.get_num_threads() == 3
    assert [w.number() for w in walkers.values()] == [3, 3]
    assert (torch.get_num_threads(), fresh()) == (3, 3)


def test_threads_keep_numbers_of_their_own():
    walker = Walker()
    assert walker.number() == 3  # or torch would take the 2 for none of its own
    walker.do(lambda: torch.set_num_threads(2))
    torch.set_num_threads(3)
    walker.enter()
    with single_thread():
        walker.enter()
        walker.leave()
        walker.leave()
    assert (walker.number(), torch.get_num_threads(), fresh()) == (2, 3, 3)


def test_many_at_once():
    """Uses that begin and end at any time, nested and with a pool of their own."""
    wrong = []
    start = threading.Barrier(8)

    def work(k: int):
        start.wait()
        for turn in range(20):
            with single_thread():
                if (k + turn) % 3 == 0:
                    wrong.extend(n for n in parallel_map(lambda _: torch.get_num_threads(), range(3)) if n != 1)
                with single_thread():
                    wrong.extend([] if torch.get_num_threads() == 1 else [k])
        return torch.get_num_threads()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [3] * 8
    assert not wrong
    assert (torch.get_num_threads(), fresh()) == (3, 3)


def test_a_map_works_as_its_caller_does():
    def numbers(nested: int) -> int:
        with single_thread():
            assert torch.get_num_threads() == 1
        return torch.get_num_threads()

    with single_thread():
        assert parallel_map(numbers, range(4)) == [1] * 4
    assert parallel_map(numbers, range(4)) == [3] * 4
    assert (torch.get_num_threads(), fresh()) == (3, 3)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_results_come_in_order_with_progress(count):
    heard: list[float] = []
    assert parallel_map(lambda x: x * x, range(count), heard.append) == [x * x for x in range(count)]
    assert heard == [(k + 1) / count for k in range(count)]


def test_no_generator_stops_while_it_is_inside():
    """It would be inside for as long as nobody asks for more, and could end in another thread."""
    for path in (Path(__file__).parents[1] / "src" / "motif").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.With) and "single_thread()" in "".join(map(ast.unparse, node.items)):
                assert not any(isinstance(n, ast.Yield | ast.YieldFrom) for n in ast.walk(node)), (
                    f"{path}:{node.lineno}"
                )
