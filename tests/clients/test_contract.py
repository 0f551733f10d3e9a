"""Schemathesis through the gate, before an upstream that takes everything: what is right passes, what is wrong never does."""

import gzip
import json
import random
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import GenerationMode

ROOT = Path(__file__).parents[2]
DOCUMENTS = {
    # Of the large ones, so many operations by chance that is the same every time; and so many requests of each.
    "shop": (ROOT / "examples/demo/shop.openapi.yaml", 40, 8),
    "spotify": (ROOT / "crates/core/testdata/openapi/spotify-com.json.gz", 24, 4),
    "asana": (ROOT / "crates/core/testdata/openapi/asana-com.json.gz", 14, 4),
}
CONFIG = """
version: 1
listeners:
  public: { address: "127.0.0.1:{port}" }
  admin: { address: "127.0.0.1:{admin}" }
apis:
  api:
    contract: CONTRACT
    base_path: /
    upstream: "http://127.0.0.1:UPSTREAM"
    identify: anonymous
    security: ignore
    authorize: none
    unbound: allow
    answers: none
    inspect: none
    screen: none
    UNKNOWN
record: { path: records.jsonl }
"""
# What the gate refuses of a request that meets its contract, and why.
BY_DESIGN = {
    "ambiguous_path": "an encoded slash, dot or control character in the path has two readings",
    "credential_invalid": "a made-up `Authorization` is refused, where the document only asks for some header",
}


@pytest.fixture
def upstream():
    """Takes everything, and remembers what it was sent by the mark that each request carries."""
    seen = set()

    class Anything(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.add(self.headers.get("X-Mark"))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("X-Stub", "1")
            self.send_header("Content-Length", "2")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(b"{}")

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Anything)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], seen
    server.shutdown()


def document(path: Path) -> tuple[str, str]:
    """Its name beside the configuration, and its text."""
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return ("api.json" if text.lstrip().startswith("{") else "api.yaml"), text


def cases(path: Path, mode: GenerationMode, operations: int, each: int):
    """Requests of the document, the same every time."""
    name, text = document(path)
    schema = schemathesis.openapi.from_file(text)
    all_of_it = [found.ok() for found in schema.get_all_operations()]
    chosen = random.Random(7).sample(all_of_it, min(operations, len(all_of_it)))
    for operation in chosen:
        made = []

        @hypothesis.seed(1)
        @hypothesis.settings(max_examples=each, deadline=None, database=None, phases=[Phase.generate],
                             suppress_health_check=list(HealthCheck))
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def collect(case):
            made.append(case)

        try:
            collect()
        except (hypothesis.errors.Unsatisfiable, hypothesis.errors.InvalidArgument):
            pass  # nothing can be made for it in this mode
        yield from made


def written(case) -> str:
    return f"{case.method} {case.formatted_path} query={case.query} headers={dict(case.headers or {})} body={str(case.body)[:300]}"


def sent(cases, port: int, mark: str):
    """Each request with its answer; what the client cannot write is left out."""
    session = requests.Session()
    for number, case in enumerate(cases):
        try:
            answer = case.call(base_url=f"http://127.0.0.1:{port}", session=session,
                               headers={"X-Mark": f"{mark}{number}", **{k: v for k, v in (case.headers or {}).items()}}, timeout=10)
        except (requests.RequestException, UnicodeError, ValueError):
            continue
        yield case, answer, f"{mark}{number}"


def code(answer) -> str:
    try:
        return json.loads(answer.content).get("code", "")
    except (ValueError, AttributeError):
        return ""


def vanishes(case) -> bool:
    """Whether what is wrong has no form on the wire: a list of nothing is written as nothing."""
    def is_empty(value) -> bool:
        return isinstance(value, (list, dict)) and all(map(is_empty, value if isinstance(value, list) else value.values()))

    return any(map(is_empty, (case.query or {}).values()))


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_document(gate, upstream, capsys, tmp_path, name, mode):
    path, operations, each = DOCUMENTS[name]
    address, seen = upstream
    file, text = document(path)
    # A schema that says nothing of other fields takes them; the gate does only where that is written.
    unknown = "unknown: { fields: allow, parameters: allow }" if mode.is_positive else "violations: all"
    config = CONFIG.replace("UPSTREAM", str(address)).replace("CONTRACT", file).replace("UNKNOWN", unknown)
    port, _ = gate(config, **{file.replace(".", "__"): text})
    outcomes, wrong = Counter(), []
    for case, answer, mark in sent(cases(path, mode, operations, each), port, "m"):
        has_passed = mark in seen
        why = "passed" if has_passed else code(answer)
        outcomes[why] += 1
        assert answer.status_code < 500, written(case)
        assert has_passed == ("x-stub" in {key.lower() for key in answer.headers}), written(case)
        if mode.is_positive and not has_passed and why not in BY_DESIGN:
            wrong.append(f"refused: {written(case)}: {answer.content[:400]}")
        if mode.is_negative and has_passed and not vanishes(case):
            wrong.append(f"passed: {written(case)}: {case.meta and [str(c.mode) + ' ' + str(k) for k, c in case.meta.components.items()]} {case.meta.phase.data}")
    with capsys.disabled():
        print(f"\n{name}, {mode.value}: {dict(outcomes)}")
    assert not wrong, f"{len(wrong)} of {sum(outcomes.values())}\n" + "\n".join(wrong[:12])
    assert sum(outcomes.values()) > 20, "too few requests were made"
    # What the record says went on is what the upstream saw.
    lines = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert len(seen) <= sum(outcomes.values())
    assert sum("forward" in line["phases"] for line in lines) <= len(seen)
