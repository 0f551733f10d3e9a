"""grpcio on both sides of the gate: messages, streams both ways, trailers, statuses, deadlines."""

import time
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from conftest import free_port
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

DESCRIPTORS = Path("examples/grpc/notes.pb")

CONFIG = """
version: 1
listeners:
  public: {{ address: "127.0.0.1:{port}" }}
  admin: {{ address: "127.0.0.1:{admin}" }}
grpc:
  notes:
    descriptors: DESCRIPTORS
    upstream: {{ url: "http://127.0.0.1:UPSTREAM", timeout: 5s }}
    identify: anonymous
    unbound: allow
    inspect: {{ secrets: block }}
policy: {{ cedar: [p.cedar] }}
record: {{ path: records.jsonl }}
""".replace("{{", "{").replace("}}", "}")

POLICY = """
permit (principal, action in Action::"notes", resource);
forbid (principal, action == Action::"notes.notes.v1.Notes.Add", resource) when { context.path.pinned == "true" };
"""


def types():
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file:
        pool.Add(file)
    names = ("ReadRequest", "AddRequest", "WatchRequest", "Note")
    found = {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"notes.v1.{name}")) for name in names}
    return type("Types", (), found)


T = types()


def read(request, context):
    context.set_trailing_metadata((("x-cost", "3"), ("x-bin-bin", b"\x00\xff")))
    if request.note_id == "none":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such note, é")
    if request.note_id == "slow":
        # The client's deadline reached the service, and is not that of the gate.
        assert context.time_remaining() < 1
        time.sleep(context.time_remaining() + 0.5)
    return T.Note(text=f"{request.user_id}/{request.note_id}", tags=["a", "b"], labels={"k": "v"}, counts=[1, -2])


def add(request, context):
    # A field that the descriptors do not name.
    return request.note.FromString(b"\x7a\x01x") if request.user_id == "odd" else request.note


def watch(request, context):
    for number in range(request.limit):
        yield T.Note(text=str(number))


def gather(requests, context):
    return T.Note(counts=[len(one.user_id) for one in requests])


def talk(requests, context):
    for one in requests:
        yield T.Note(text=one.user_id)


@pytest.fixture
def channel(gate):
    kinds = {
        "Read": (grpc.unary_unary_rpc_method_handler, read, T.ReadRequest),
        "Add": (grpc.unary_unary_rpc_method_handler, add, T.AddRequest),
        "Watch": (grpc.unary_stream_rpc_method_handler, watch, T.WatchRequest),
        "Import": (grpc.stream_unary_rpc_method_handler, gather, T.AddRequest),
        "Talk": (grpc.stream_stream_rpc_method_handler, talk, T.AddRequest),
    }
    handlers = {
        name: kind(function, request_deserializer=ask.FromString, response_serializer=T.Note.SerializeToString)
        for name, (kind, function, ask) in kinds.items()
    }
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("notes.v1.Notes", handlers),))
    upstream = free_port()
    server.add_insecure_port(f"127.0.0.1:{upstream}")
    server.start()
    config = CONFIG.replace("UPSTREAM", str(upstream)).replace("DESCRIPTORS", str(DESCRIPTORS.resolve()))
    port, _ = gate(config, p__cedar=POLICY)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    server.stop(None)


def stub(channel, kind, name):
    make = getattr(channel, kind)
    return make(f"/notes.v1.Notes/{name}", lambda message: message.SerializeToString(), T.Note.FromString)


def code(call, *arguments, **more):
    with pytest.raises(grpc.RpcError) as caught:
        result = call(*arguments, **more)
        list(result if hasattr(result, "__next__") else [])
    return caught.value.code()


def test_unary_calls_pass_with_their_trailers(channel):
    call = stub(channel, "unary_unary", "Read")
    answer, about = call.with_call(T.ReadRequest(user_id="alice", note_id="n1"), timeout=5)
    assert (answer.text, answer.tags, answer.labels["k"], answer.counts) == ("alice/n1", ["a", "b"], "v", [1, -2])
    trailers = dict(about.trailing_metadata())
    assert (trailers["x-cost"], trailers["x-bin-bin"]) == ("3", b"\x00\xff")
    with pytest.raises(grpc.RpcError) as caught:
        call(T.ReadRequest(note_id="none"))
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.NOT_FOUND, "no such note, é")
    assert code(call, T.ReadRequest(note_id="slow"), timeout=0.3) == grpc.StatusCode.DEADLINE_EXCEEDED


def test_streams_pass_both_ways(channel):
    watched = stub(channel, "unary_stream", "Watch")(T.WatchRequest(limit=200))
    assert [int(note.text) for note in watched] == list(range(200))
    asks = (T.AddRequest(user_id="x" * length) for length in range(50))
    assert list(stub(channel, "stream_unary", "Import")(asks).counts) == list(range(50))

    heard = []

    def asks_in_turn():
        for number in range(20):
            # Each is sent after the answer to the one before: neither side waits for the end of the other.
            assert len(heard) == number
            yield T.AddRequest(user_id=str(number))
            while len(heard) == number:
                time.sleep(0.001)

    for note in stub(channel, "stream_stream", "Talk")(asks_in_turn(), timeout=5):
        heard.append(note.text)
    assert heard == [str(number) for number in range(20)]


def test_refusals_are_statuses(channel):
    add = stub(channel, "unary_unary", "Add")
    assert add(T.AddRequest(note=T.Note(text="t"))).text == "t"
    assert code(add, T.AddRequest(pinned=True)) == grpc.StatusCode.PERMISSION_DENIED
    assert code(add, T.AddRequest(note=T.Note(text="AKIAIOSFODNN7EXAMPLE"))) == grpc.StatusCode.PERMISSION_DENIED
    assert code(add, T.AddRequest.FromString(b"\x7a\x01x")) == grpc.StatusCode.INVALID_ARGUMENT
    assert code(add, T.AddRequest(user_id="odd", note=T.Note())) == grpc.StatusCode.INTERNAL
    gzip = grpc.Compression.Gzip
    assert code(add, T.AddRequest(user_id="x" * 2000), compression=gzip) == grpc.StatusCode.UNIMPLEMENTED
    assert code(stub(channel, "unary_unary", "Drop"), T.ReadRequest()) == grpc.StatusCode.UNIMPLEMENTED
    talk = stub(channel, "stream_stream", "Talk")
    asks = [T.AddRequest(user_id="a"), T.AddRequest.FromString(b"\x7a\x01x")]
    assert code(talk, iter(asks), timeout=5) == grpc.StatusCode.INVALID_ARGUMENT
