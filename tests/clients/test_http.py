"""curl, h2load, schemathesis and a WebSocket client."""

import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme
import websockets.sync.client
import websockets.sync.server
from conftest import free_port

CONTRACT = """
openapi: 3.1.0
info: { title: T, version: "1" }
paths:
  /items: { get: { operationId: items, responses: { "200": { description: ok, content: { application/json: {} } } } } }
  /live: { get: { operationId: live, responses: { "101": { description: upgraded } } } }
"""

CONFIG = """
version: 1
listeners:
  public: { address: "127.0.0.1:{port}", TLS }
  admin: { address: "127.0.0.1:{admin}" }
apis:
  t:
    contract: api.yaml
    upstream: "http://127.0.0.1:UPSTREAM"
    identify: anonymous
    authorize: none
    websocket: true
record: { path: records.jsonl }
"""


def curl(*arguments: str) -> str:
    return subprocess.run(["curl", "-sS", "--max-time", "10", *arguments], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def upstream():
    class Items(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = json.dumps({"path": self.path, "headers": dict(self.headers)}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 512  # five by default: connections of a burst would be dropped
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Items)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()


def config(upstream: int, tls: str = "") -> str:
    return CONFIG.replace("UPSTREAM", str(upstream)).replace(", TLS", f", {tls}" if tls else "")


def test_curl(demo):
    assert "Enamel mug" in curl(f"{demo.gate}/shop/products")
    refused = curl("-i", "-H", f"Authorization: Bearer {demo.bob}", f"{demo.gate}/shop/customers/alice/orders")
    head, body = refused.split("\n\n" if "\r\n\r\n" not in refused else "\r\n\r\n", 1)
    problem = json.loads(body)
    assert " 403 " in head.splitlines()[0] and "application/problem+json" in head
    assert problem["code"] == "forbidden" and problem["instance"].startswith("urn:uuid:")


def test_admin(demo):
    assert curl("-o", "/dev/null", "-w", "%{http_code}", f"{demo.admin}/readyz") == "200"
    assert curl("-o", "/dev/null", "-w", "%{http_code}", f"{demo.admin}/livez") == "200"
    assert "portcullis_answers" in curl(f"{demo.admin}/metrics")


def test_tls_and_both_versions_of_http(gate, upstream, tmp_path):
    authority = trustme.CA()
    pair = authority.issue_cert("localhost")
    pair.private_key_pem.write_to_path(tmp_path / "key.pem")
    for part in pair.cert_chain_pems:
        part.write_to_path(tmp_path / "cert.pem", append=True)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    port, _ = gate(config(upstream, "tls: { certificate: cert.pem, key: key.pem }"), api__yaml=CONTRACT)
    for version in ("--http1.1", "--http2"):
        seen = curl(version, "--cacert", str(tmp_path / "ca.pem"), "-w", " %{http_version}", f"https://localhost:{port}/items")
        assert '"path": "/items"' in seen and seen.endswith("2" if version == "--http2" else "1.1")
    for old in ("--tls-max", "1.1"), ("--tls-max", "1.0"):
        failed = subprocess.run(["curl", "-sS", *old, "--cacert", str(tmp_path / "ca.pem"), f"https://localhost:{port}/items"],
                                capture_output=True)
        assert failed.returncode != 0
    load = subprocess.run(["h2load", "-n1000", "-c4", "-m8", f"https://localhost:{port}/items"], capture_output=True, text=True)
    assert "1000 succeeded, 0 failed, 0 errored" in load.stdout and "Application protocol: h2" in load.stdout, load.stdout


def test_headers_that_a_client_may_not_set(gate, upstream):
    port, _ = gate(config(upstream), api__yaml=CONTRACT)
    seen = json.loads(curl("-H", "X-Portcullis-Subject: root", "-H", "X-Forwarded-For: 6.6.6.6", "-H", "Authorization: Basic eA==",
                           f"http://127.0.0.1:{port}/items", "-o", "-"))
    # A credential of a kind the gate does not take is refused, not passed on.
    assert seen.get("code") in {"credential_invalid", "credential_ambiguous"}
    seen = json.loads(curl("-H", "X-Portcullis-Subject: root", "-H", "X-Forwarded-For: 6.6.6.6", f"http://127.0.0.1:{port}/items"))
    headers = {name.lower(): value for name, value in seen["headers"].items()}
    assert "x-portcullis-subject" not in headers and headers["x-forwarded-for"] == "127.0.0.1"


def test_websocket(gate):
    def echo(connection):
        for message in connection:
            connection.send(message)

    with websockets.sync.server.serve(echo, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port, _ = gate(config(server.socket.getsockname()[1]), api__yaml=CONTRACT)
        with websockets.sync.client.connect(f"ws://127.0.0.1:{port}/live") as connection:
            for message in ("hello", "x" * 100_000, b"\x00\x01"):
                connection.send(message)
                assert connection.recv(timeout=10) == message
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            websockets.sync.client.connect(f"ws://127.0.0.1:{port}/elsewhere")
        assert refused.value.response.status_code == 404
        server.shutdown()


def test_reload_keeps_the_last_good_configuration(demo):
    path = demo.folder / "portcullis.yaml"
    good = path.read_text()
    try:
        path.write_text(good.replace("identify: [demo, anonymous]", "identfy: [demo, anonymous]"))
        from conftest import until

        until(lambda: "portcullis_reload_successful 0" in curl(f"{demo.admin}/metrics"), "the refused reload")
        assert "Enamel mug" in curl(f"{demo.gate}/shop/products")
    finally:
        path.write_text(good)
    until(lambda: "portcullis_reload_successful 1" in curl(f"{demo.admin}/metrics"), "the reload")


def test_schemathesis(demo):
    """No valid request is answered with a server error, and no invalid one gets through."""
    contract = demo.folder / "shop.openapi.yaml"
    run = subprocess.run(
        [Path(sys.executable).with_name("schemathesis"), "run", str(contract), "--url", f"{demo.gate}/shop",
         "-H", f"Authorization: Bearer {demo.alice}", "--phases", "examples,coverage,fuzzing", "-n", "8", "--seed", "1",
         "--checks", "not_a_server_error,negative_data_rejection", "--exclude-operation-id", "getReceipt", "--no-color"],
        capture_output=True, text=True, timeout=300)
    print(run.stdout[-3000:])
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]
    assert re.search(r"\d+ (?:generated|passed)", run.stdout)
