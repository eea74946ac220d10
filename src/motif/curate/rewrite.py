"""Rewriting captions through any OpenAI-compatible endpoint, with the standard library alone.

Every answer is checked for the claims of the original; one that lost a side, a count or a direction is asked for again
and then replaced by the offline grammar. Answers are kept in a file of JSON lines: a run that was stopped goes on.
"""

import hashlib
import http.client
import json
import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..errors import MotifError
from . import phrases
from .claims import check

URL, KEY, MODEL = "MOTIF_LLM_URL", "MOTIF_LLM_KEY", "MOTIF_LLM_MODEL"
"""Environment variables: the base address (``https://host/v1``), the key (may be absent), the model's name."""
PROMPT = """You put a caption of a human or animal motion into other words.
- Keep the meaning. Every side (left, right, clockwise), direction, number and body part must stay, and the order.
- Add nothing that is not there.
- You may change who moves (a person, someone, the man where it says man) and the manner of description.
- Be concise: one or two short sentences.
- Give only the answer, in square brackets, like [A person walks forward and lifts the left hand twice.]"""
AGAIN = "Your answer changed the meaning ({}). Try once more, in square brackets."
BACKOFF, LONGEST = 1.0, 60.0  # seconds waited after a first failure, doubled after each one, and at most
_BRACKETS = re.compile(r"\[([^\[\]]*)\]", re.DOTALL)


@dataclass(frozen=True)
class Endpoint:
    """Where rewriting is asked for."""

    url: str
    """Base address, without ``/chat/completions``."""
    model: str
    """The model's name there."""
    key: str = field(default="", repr=False)
    """Sent as a bearer token if given; never written anywhere."""
    price_in: float = 0.0
    """Price of a million tokens of questions."""
    price_out: float = 0.0
    """Price of a million tokens of answers."""
    timeout: float = 60.0
    """Seconds waited for an answer."""
    attempts: int = 6
    """How often a question is sent at most, where the endpoint is busy or cannot be reached."""

    def __post_init__(self):
        if not re.match(r"https?://[^/]", self.url):
            raise MotifError(f"endpoint {self.url!r}: expected an http or https address such as https://host/v1")
        if not self.model:
            raise MotifError(f"no model named; set {MODEL} to the name the endpoint knows it by")

    @staticmethod
    def from_environment(values: Mapping[str, str] = os.environ) -> "Endpoint":
        """Return the endpoint that environment variables name; a MotifError says which one is missing."""
        missing = [name for name in (URL, MODEL) if not values.get(name)]
        if missing:
            raise MotifError(f"no endpoint to rewrite with: set {' and '.join(missing)} (and {KEY} if it wants a key)")
        return Endpoint(values[URL].rstrip("/"), values[MODEL], values.get(KEY, ""))


@dataclass(frozen=True)
class Progress:
    """How far rewriting is, in running counts."""

    total: int
    """Rewrites wanted."""
    done: int = 0
    """Rewrites made."""
    asked: int = 0
    """Questions answered by the endpoint."""
    cached: int = 0
    """Questions answered from the file."""
    again: int = 0
    """Answers that lost a claim or were no answer, and were asked for once more."""
    replaced: int = 0
    """Rewrites made by the offline grammar instead."""
    retries: int = 0
    """Questions sent again because the endpoint was busy or out of reach."""
    tokens_in: int = 0
    """Tokens of questions, as the endpoint counted them."""
    tokens_out: int = 0
    """Tokens of answers."""
    cost: float = 0.0
    """What they cost by the prices given."""
    seconds: float = 0.0
    """Time since the start."""

    @property
    def rate(self) -> float:
        """Rewrites a second."""
        return self.done / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class Answer:
    """What an endpoint said."""

    text: str
    tokens_in: int
    tokens_out: int


class Rewriter:
    """Asks an endpoint, remembers its answers in a file and counts; may be used from several threads."""

    def __init__(
        self,
        endpoint: Endpoint,
        cache: Path | None = None,
        progress: Callable[[Progress], object] = lambda _: None,
        sleep: Callable[[float], object] = time.sleep,
    ):
        self.endpoint, self.cache, self.report, self.sleep = endpoint, cache, progress, sleep
        self.lock, self.started = threading.Lock(), time.monotonic()
        self.counts = Progress(0)
        self.known = read_cache(cache) if cache else {}

    def rewrite(self, texts: Sequence[str], count: int = 1, seed: int = 0, workers: int = 4) -> list[list[str]]:
        """Return ``count`` rewrites of each text, different where the endpoint and the grammar allow it.

        A MotifError where the endpoint refuses or stays out of reach; what was answered until then is in the file.
        """
        self.counts, self.started = replace(self.counts, total=self.counts.total + count * len(texts)), time.monotonic()

        def one(text: str) -> list[str]:
            return [self._one(text, seed + k, k) for k in range(count)]

        with ThreadPoolExecutor(max(workers, 1)) as pool:
            jobs = [pool.submit(one, text) for text in texts]
            try:
                return [job.result() for job in jobs]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _one(self, text: str, seed: int, nth: int) -> str:
        """One rewrite: asked for, asked for again, or made by the grammar."""
        messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": f"[{text}]"}]
        for last in (False, True):
            answer = self._ask(messages, seed)
            found = parse(answer)
            problems = check(text, found) if found else ["no answer in brackets"]
            if found and not problems:
                self._count(Progress(0, done=1))
                return found
            if not last:
                self._count(Progress(0, again=1))
                why = {"role": "user", "content": AGAIN.format("; ".join(problems))}
                messages = [*messages, {"role": "assistant", "content": answer}, why]
        made = phrases.rewrite(text, nth + 1, seed)
        self._count(Progress(0, done=1, replaced=1))
        return made[-1] if made else text

    def _ask(self, messages: list[dict[str, str]], seed: int) -> str:
        """The answer to a question, from the file if it is there."""
        key = cache_key(self.endpoint.model, messages, seed)
        with self.lock:
            known = self.known.get(key)
        if known is not None:
            self._count(Progress(0, cached=1))
            return known
        answer = self._send({"model": self.endpoint.model, "messages": messages, "seed": seed, "temperature": 1.0})
        cost = (answer.tokens_in * self.endpoint.price_in + answer.tokens_out * self.endpoint.price_out) / 1e6
        self._count(Progress(0, asked=1, tokens_in=answer.tokens_in, tokens_out=answer.tokens_out, cost=cost))
        with self.lock:
            self.known[key] = answer.text
        if self.cache:
            line = {"key": key, "model": self.endpoint.model, "seed": seed, "answer": answer.text}
            append_line(self.cache, line | {"tokens_in": answer.tokens_in, "tokens_out": answer.tokens_out})
        return answer.text

    def _send(self, body: dict[str, Any]) -> Answer:
        """Send a question until it is answered; waits longer each time the endpoint is busy or out of reach."""
        wait = BACKOFF
        for left in range(self.endpoint.attempts - 1, -1, -1):
            try:
                return _read(_post(self.endpoint, body))
            except urllib.error.HTTPError as error:
                problem, asked = f"status {error.code}: {_message(error)}", error.headers.get("Retry-After", "")
                if error.code not in (408, 409, 429) and error.code < 500:
                    raise MotifError(
                        f"{self.endpoint.url} refuses ({problem}); check {URL}, {KEY} and {MODEL}"
                    ) from None
                pause = float(asked) if asked.isdigit() else wait
            except (OSError, http.client.HTTPException, ValueError) as error:
                problem, pause = f"{type(error).__name__}: {error}", wait
            if not left:
                raise MotifError(f"{self.endpoint.url} gave no answer {self.endpoint.attempts} times, last {problem}")
            self._count(Progress(0, retries=1))
            self.sleep(min(pause, LONGEST))
            wait = min(2 * wait, LONGEST)
        raise MotifError(f"{self.endpoint.url}: {self.endpoint.attempts} attempts; give at least 1")

    def _count(self, more: Progress) -> None:
        """Add to the counts and report them."""
        with self.lock:
            now, seconds = self.counts, time.monotonic() - self.started
            added = {f.name: getattr(now, f.name) + getattr(more, f.name) for f in fields(Progress)}
            self.counts = replace(Progress(**added), seconds=seconds)
            self.report(self.counts)


def parse(answer: str) -> str:
    """Return what stands in the first brackets of an answer, on one line; empty if nothing does."""
    found = _BRACKETS.search(answer)
    return " ".join(found[1].split()) if found else ""


def cache_key(model: str, messages: Sequence[Mapping[str, str]], seed: int) -> str:
    """Return the name of a question: a hash of model, prompt and seed."""
    return hashlib.sha256(json.dumps([model, list(messages), seed], sort_keys=True).encode()).hexdigest()


def read_cache(path: Path) -> dict[str, str]:
    """Return the answers in a file by their key; lines that were cut off are left out, a missing file has none."""
    known: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    except OSError as error:
        raise MotifError(f"{path}: cannot be read ({error.strerror or error})") from error
    for line in lines:
        try:
            row = json.loads(line)
            known[row["key"]] = row["answer"]
        except (ValueError, KeyError, TypeError):
            continue
    return known


def append_line(path: Path, row: Mapping[str, object]) -> None:
    """Append a row as one line of JSON in one write, so that several processes may share the file."""
    data = (json.dumps(row) + "\n").encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            size = os.lseek(handle, 0, os.SEEK_END)
            if size and os.pread(handle, 1, size - 1) != b"\n":  # a line that was cut off stays alone
                data = b"\n" + data
            os.write(handle, data)
        finally:
            os.close(handle)
    except OSError as error:
        raise MotifError(f"{path}: cannot be written ({error.strerror or error})") from error


class _Still(urllib.request.HTTPRedirectHandler):
    """No redirects: the key goes to nobody else."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        return None


_OPENER = urllib.request.build_opener(_Still)


def _post(endpoint: Endpoint, body: dict[str, Any]) -> Any:
    headers = {"Content-Type": "application/json"}
    if endpoint.key:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    request = urllib.request.Request(f"{endpoint.url.rstrip('/')}/chat/completions", json.dumps(body).encode(), headers)
    with _OPENER.open(request, timeout=endpoint.timeout) as reply:
        return json.loads(reply.read())


def _read(reply: Any) -> Answer:
    try:
        text, usage = reply["choices"][0]["message"]["content"] or "", reply.get("usage") or {}
    except (KeyError, IndexError, TypeError, AttributeError):
        raise ValueError(f"no choices[0].message.content in {str(reply)[:200]}") from None
    return Answer(str(text), int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return error.read(300).decode(errors="replace").strip() or str(error.reason)
    except OSError:
        return str(error.reason)
