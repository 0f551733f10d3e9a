"""Public attack and benign requests through the gate: the figures are printed, not judged. They lie beside the project."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import free_port

DATA = Path(__file__).parents[3] / "shared/data"
METHODS = ("get", "post", "put", "patch", "delete")
CONFIG = """
version: 1
listeners:
  public: { address: "127.0.0.1:{port}" }
  admin: { address: "127.0.0.1:{admin}" }
apis:
  any:
    contract: any.yaml
    upstream: "http://127.0.0.1:UPSTREAM"
    identify: anonymous
    authorize: none
    requests: none
    answers: none
    unknown: { fields: allow, parameters: allow }
    inspect: { injection: block, active_content: block, secrets: observe, pii: observe }
    screen: { secrets: redact, active_content: redact, injection: observe, pii: observe }
record: { path: records.jsonl }
"""


def anything() -> str:
    """A contract that names every path of up to twelve segments: what is measured is the detectors alone."""
    text = 'openapi: 3.1.0\ninfo: { title: Any, version: "1" }\npaths:\n'
    for depth in range(13):
        names = [f"s{number}" for number in range(depth)]
        parameters = ", ".join(f"{{ name: {name}, in: path, required: true, schema: {{ type: string }} }}" for name in names)
        text += f"  /{'/'.join(f'{{{name}}}' for name in names)}:\n    parameters: [{parameters}]\n"
        text += "".join(f"    {method}: {{ operationId: {method}{depth}, requestBody: {{ content: {{ '*/*': {{}} }} }}, responses: {{ default: {{ description: any }} }} }}\n"
                        for method in METHODS)
    return text


@pytest.mark.skipif(not DATA.exists(), reason="the attack data does not lie beside this checkout")
@pytest.mark.parametrize("runner", ["run_waf.py", "run_leaks.py"])
def test_figures(gate, runner, capsys):
    upstream = free_port()
    port, _ = gate(CONFIG.replace("UPSTREAM", str(upstream)), any__yaml=anything())
    run = subprocess.run([sys.executable, str(DATA / runner), "--base-url", f"http://127.0.0.1:{port}", "--upstream-port", str(upstream)],
                         capture_output=True, text=True, timeout=300)
    lines = run.stdout.strip().splitlines()
    with capsys.disabled():
        print(f"\n{runner}: {lines[-1] if lines else run.stderr[-500:]}")
    assert lines and (" blocked " in lines[-1] or " stopped " in lines[-1]), run.stderr[-500:]
