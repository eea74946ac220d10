"""Rewriting through an endpoint: answers are checked, remembered and counted; a busy endpoint is asked again."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from motif import MotifError
from motif.curate import rewrite
from motif.curate.claims import check
from motif.curate.rewrite import Endpoint, Progress, Rewriter, append_line, cache_key, parse, read_cache

TEXT = "A person raises the left hand twice."
GOOD = "[Someone lifts the left hand two times, raised.]"
BAD = "Sure! [Someone lifts the right hand twice.]"


@pytest.fixture
def server():
    """A loopback endpoint that gives the answers in ``replies``, one after the other, the last one for ever."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with server.lock:
                server.seen.append((self.path, dict(self.headers), body))
                reply = server.replies.pop(0) if len(server.replies) > 1 else server.replies[0]
            status, text = reply if isinstance(reply, tuple) else (200, reply)
            usage = {"prompt_tokens": 100, "completion_tokens": 10}
            made = json.dumps({"choices": [{"message": {"content": text}}], "usage": usage})
            if text == "broken":
                made = "{"
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "3")
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()
            self.wfile.write(made.encode())

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen, server.replies, server.lock = [], [GOOD], threading.Lock()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def endpoint(server, **more) -> Endpoint:
    return Endpoint(f"http://127.0.0.1:{server.server_port}/v1", "tiny", "secret", 2.0, 10.0, 5.0, **more)


def test_a_good_answer_is_taken_counted_and_remembered(server, tmp_path):
    told, cache = [], tmp_path / "deep" / "rewrites.jsonl"
    maker = Rewriter(endpoint(server), cache, told.append)
    assert maker.rewrite([TEXT], 2) == [[parse(GOOD)] * 2]
    path, headers, body = server.seen[0]
    assert path == "/v1/chat/completions" and headers["Authorization"] == "Bearer secret"
    assert body["model"] == "tiny" and body["messages"][-1]["content"] == f"[{TEXT}]"
    assert {b["seed"] for _, _, b in server.seen} == {0, 1}
    last = told[-1]
    assert (last.total, last.done, last.asked, last.tokens_in, last.tokens_out) == (2, 2, 2, 200, 20)
    assert last.cost == pytest.approx((200 * 2 + 20 * 10) / 1e6) and last.rate > 0
    assert "secret" not in cache.read_text() and "secret" not in repr(maker.endpoint)
    again = Rewriter(endpoint(server), cache)
    assert again.rewrite([TEXT], 2) == [[parse(GOOD)] * 2]
    assert len(server.seen) == 2 and (again.counts.cached, again.counts.asked) == (2, 0)


def test_a_wrong_answer_is_asked_again_and_then_replaced(server):
    server.replies = [BAD, GOOD]
    maker = Rewriter(endpoint(server))
    assert maker.rewrite([TEXT]) == [[parse(GOOD)]]
    assert (maker.counts.again, maker.counts.replaced) == (1, 0)
    assert "lost: left hand" in server.seen[1][2]["messages"][-1]["content"]
    server.replies = ["no brackets at all"]
    maker = Rewriter(endpoint(server))
    ((made,),) = maker.rewrite([TEXT])
    assert made != TEXT and not check(TEXT, made)
    assert (maker.counts.again, maker.counts.replaced, maker.counts.done) == (1, 1, 1)


def test_a_busy_endpoint_is_waited_for(server):
    waits = []
    server.replies = [(429, ""), (503, ""), "broken", GOOD]
    maker = Rewriter(endpoint(server), sleep=waits.append)
    assert maker.rewrite([TEXT]) == [[parse(GOOD)]]
    assert waits == [3.0, 2.0, 4.0] and maker.counts.retries == 3


def test_refusals_and_silence_are_errors(server):
    server.replies = [(401, "bad key")]
    with pytest.raises(MotifError, match="MOTIF_LLM_KEY"):
        Rewriter(endpoint(server)).rewrite([TEXT])
    server.replies = [(302, "")]
    with pytest.raises(MotifError, match="302"):
        Rewriter(endpoint(server)).rewrite([TEXT])
    server.replies = [(500, "")]
    with pytest.raises(MotifError, match="no answer 2 times"):
        Rewriter(endpoint(server, attempts=2), sleep=lambda _: None).rewrite([TEXT])
    nobody = Endpoint("http://127.0.0.1:1/v1", "tiny", attempts=2)
    with pytest.raises(MotifError, match="no answer 2 times"):
        Rewriter(nobody, sleep=lambda _: None).rewrite([TEXT])


def test_an_answer_that_takes_too_long_is_asked_for_again(server):
    slow = threading.Event()
    plain = server.RequestHandlerClass.do_POST

    def late(self):
        if not slow.is_set():
            slow.set()
            threading.Event().wait(0.6)
        plain(self)

    server.RequestHandlerClass.do_POST = late
    maker = Rewriter(Endpoint(f"http://127.0.0.1:{server.server_port}/v1", "tiny", timeout=0.3), sleep=lambda _: None)
    assert maker.rewrite([TEXT]) == [[parse(GOOD)]]
    assert maker.counts.retries == 1


def test_many_at_once_keep_their_order(server, tmp_path):
    texts = [f"A person jumps {n} times." for n in range(2, 12)]
    server.RequestHandlerClass.log_message = lambda *_: None
    server.replies = ["[nothing like it]"]
    cache = tmp_path / "c.jsonl"
    made = Rewriter(endpoint(server), cache).rewrite(texts, 3, workers=4)
    for text, several in zip(texts, made, strict=True):
        assert len(several) == 3 and all(not check(text, said) for said in several)
    assert len(read_cache(cache)) == 60  # 10 texts, 3 seeds, 2 questions


def test_the_cache_survives_a_cut_off_line(tmp_path):
    path = tmp_path / "c.jsonl"
    append_line(path, {"key": "a", "answer": "x"})
    with path.open("a") as file:
        file.write('{"key": "b", "ans')
    append_line(path, {"key": "c", "answer": "z"})
    assert read_cache(path) == {"a": "x", "c": "z"}
    assert read_cache(tmp_path / "none") == {}
    with pytest.raises(MotifError, match="cannot be"):
        read_cache(tmp_path)


def test_keys_depend_on_model_prompt_and_seed():
    one = cache_key("m", [{"role": "user", "content": "t"}], 0)
    others = [cache_key("n", [{"role": "user", "content": "t"}], 0), cache_key("m", [], 0)]
    assert one not in [*others, cache_key("m", [{"role": "user", "content": "t"}], 1)]


def test_the_environment_names_the_endpoint():
    values = {rewrite.URL: "http://localhost:8000/v1/", rewrite.MODEL: "m"}
    found = Endpoint.from_environment(values)
    assert (found.url, found.model, found.key) == ("http://localhost:8000/v1", "m", "")
    with pytest.raises(MotifError, match="MOTIF_LLM_MODEL"):
        Endpoint.from_environment({rewrite.URL: "http://x/v1"})
    with pytest.raises(MotifError, match="http or https"):
        Endpoint("file:///etc/passwd", "m")


def test_the_first_brackets_are_the_answer():
    assert parse("Sure: [A man\n walks.] or [B]") == "A man walks."
    assert parse("no") == "" and parse("[]") == ""
    assert Progress(3, done=2, seconds=4.0).rate == 0.5
