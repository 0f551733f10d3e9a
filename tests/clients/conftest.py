"""Real clients before a real gate: the demo's, and gates of their own where a test needs another configuration."""

import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

BINARY = os.environ.get("PORTCULLIS", "target/release/portcullis")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until(ready, what: str, seconds: float = 20):
    """Asks again until `ready` says yes; never sleeps longer than it must."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ready():
            return
        time.sleep(0.02)
    raise AssertionError(f"{what} was not ready in {seconds} s")


def answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def end(process: subprocess.Popen):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError("did not stop within 15 s of SIGTERM")


class Demo:
    """What `portcullis demo` printed: addresses, tokens, the folder of its files."""

    def __init__(self, text: str):
        self.gate = re.search(r"gate +(http://\S+)", text)[1]
        self.admin = re.search(r"admin +(http://\S+)", text)[1]
        self.folder = Path(re.search(r"files +(\S+)", text)[1])
        self.alice, self.bob, self.carol = (re.search(f"export {name}=(\\S+)", text)[1] for name in ("ALICE", "BOB", "CAROL"))


@pytest.fixture(scope="session")
def demo():
    process = subprocess.Popen([BINARY, "demo"], stdout=subprocess.PIPE, text=True)
    text = ""
    for line in process.stdout:
        text += line
        if "Ctrl-C ends" in line:
            break
    yield Demo(text)
    end(process)


@pytest.fixture
def gate(tmp_path):
    """Starts gates from a configuration text; `{port}` and `{admin}` are free ports."""
    running = []

    def start(config: str, **files: str):
        port, admin = free_port(), free_port()
        for name, text in files.items():
            (tmp_path / name.replace("__", ".")).write_text(text)
        path = tmp_path / "portcullis.yaml"
        path.write_text(config.replace("{port}", str(port)).replace("{admin}", str(admin)))
        process = subprocess.Popen([BINARY, "run", "-c", str(path)])
        running.append(process)

        def ready():
            assert process.poll() is None, "the gate ended"
            return answers(port)

        until(ready, "the gate")
        return port, admin

    yield start
    for process in running:
        end(process)
