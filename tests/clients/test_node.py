"""The official SDKs for Node, each with a file of tests of its own in `node/`."""

import os
import re
import subprocess
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parent / "node").glob("*.test.cjs"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_sdk(demo, file):
    """`NODE_MODULES` is where `./test` installed what `node/package-lock.json` names."""
    environment = {**os.environ, "NODE_PATH": os.environ["NODE_MODULES"], "GATE": demo.gate, "TOKEN": demo.alice}
    ran = subprocess.run(["node", "--test", "--test-reporter=tap", str(file)], env=environment, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^# pass [1-9]", ran.stdout, re.MULTILINE), ran.stdout
