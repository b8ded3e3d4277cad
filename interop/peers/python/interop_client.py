"""Takes a server of grpc.testing.TestService through one case with gRPC's C core: interop_client.py HOST:PORT CASE [CA NAME]. Ends with 0 when it holds."""
import queue
import sys

import grpc

from testing import INITIAL, SERVICE, TRAILING, Empty, SimpleRequest, SimpleResponse, zeros
from testing import StreamingInputCallRequest, StreamingInputCallResponse, StreamingOutputCallRequest, StreamingOutputCallResponse

LIMIT = 20  # seconds for any one call
OUTPUTS = [31415, 9, 2653, 58979]
INPUTS = [27182, 8, 1828, 45904]


def connect():
    target, secrets = sys.argv[1], sys.argv[3:]
    if not secrets:
        return grpc.insecure_channel(target)
    ca, name = secrets
    options = [("grpc.ssl_target_name_override", name)]
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(open(ca, "rb").read()), options)


class Stub:
    def __init__(self):
        channel = connect()
        path = f"/{SERVICE}/"
        self.empty = channel.unary_unary(path + "EmptyCall", Empty.SerializeToString, Empty.FromString)
        self.unimplemented = channel.unary_unary(path + "UnimplementedCall", Empty.SerializeToString, Empty.FromString)
        self.nobody = channel.unary_unary(
            "/grpc.testing.UnimplementedService/UnimplementedCall", Empty.SerializeToString, Empty.FromString
        )
        self.unary = channel.unary_unary(path + "UnaryCall", SimpleRequest.SerializeToString, SimpleResponse.FromString)
        self.input = channel.stream_unary(
            path + "StreamingInputCall", StreamingInputCallRequest.SerializeToString, StreamingInputCallResponse.FromString
        )
        self.output = channel.unary_stream(
            path + "StreamingOutputCall", StreamingOutputCallRequest.SerializeToString, StreamingOutputCallResponse.FromString
        )
        self.duplex = channel.stream_stream(
            path + "FullDuplexCall", StreamingOutputCallRequest.SerializeToString, StreamingOutputCallResponse.FromString
        )


stub = Stub()


def is_zeros(payload, size):
    assert payload.body == bytes(size), f"{len(payload.body)} bytes, not {size} zeros"


def fails(code, call, message=None):
    try:
        result = call()
        if hasattr(result, "__next__"):
            for _ in result:
                pass
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()} {error.details()}"
        assert message is None or error.details() == message, error.details()
        return
    raise AssertionError("the call succeeded")


def large(client=stub):
    reply = client.unary(SimpleRequest(response_size=314159, payload=zeros(271828)), timeout=LIMIT)
    is_zeros(reply.payload, 314159)


def empty_unary():
    assert stub.empty(Empty(), timeout=LIMIT) == Empty()


def client_streaming():
    reply = stub.input(iter([StreamingInputCallRequest(payload=zeros(size)) for size in INPUTS]), timeout=LIMIT)
    assert reply.aggregated_payload_size == 74922


def server_streaming():
    request = StreamingOutputCallRequest(response_parameters=[{"size": size} for size in OUTPUTS])
    replies = list(stub.output(request, timeout=LIMIT))
    assert len(replies) == len(OUTPUTS)
    for reply, size in zip(replies, OUTPUTS):
        is_zeros(reply.payload, size)


def exchange(i):
    return StreamingOutputCallRequest(response_parameters=[{"size": OUTPUTS[i]}], payload=zeros(INPUTS[i]))


def ping_pong(rounds=4):
    requests = queue.Queue()
    requests.put(exchange(0))
    call = stub.duplex(iter(requests.get, None), timeout=LIMIT)
    count = 0
    for reply in call:
        is_zeros(reply.payload, OUTPUTS[count])
        count += 1
        if count == rounds < len(OUTPUTS):
            call.cancel()
        requests.put(exchange(count) if count < len(OUTPUTS) else None)
    assert count == rounds


def empty_stream():
    assert list(stub.duplex(iter([]), timeout=LIMIT)) == []


def waiting(*requests):
    """Requests that do not end; the call's end lets the thread go."""
    yield from requests
    queue.Queue().get(timeout=LIMIT)


def timeout_on_sleeping_server():
    requests = waiting(StreamingOutputCallRequest(payload=zeros(27182)))
    fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: list(stub.duplex(requests, timeout=0.001)))


def cancel_after_begin():
    call = stub.input.future(waiting(), timeout=LIMIT)
    call.cancel()
    assert call.cancelled() and call.code() == grpc.StatusCode.CANCELLED


def cancel_after_first_response():
    fails(grpc.StatusCode.CANCELLED, lambda: ping_pong(1))


def status(message):
    asked = {"code": grpc.StatusCode.UNKNOWN.value[0], "message": message}
    fails(grpc.StatusCode.UNKNOWN, lambda: stub.unary(SimpleRequest(response_status=asked), timeout=LIMIT), message)
    requests = iter([StreamingOutputCallRequest(response_status=asked)])
    fails(grpc.StatusCode.UNKNOWN, lambda: list(stub.duplex(requests, timeout=LIMIT)), message)


def custom_metadata():
    metadata = ((INITIAL, "test_initial_metadata_value"), (TRAILING, b"\xab\xab\xab"))

    def check(call):
        assert metadata[0] in [tuple(pair) for pair in call.initial_metadata()]
        assert metadata[1] in [tuple(pair) for pair in call.trailing_metadata()]

    request = SimpleRequest(response_size=314159, payload=zeros(271828))
    _, call = stub.unary.with_call(request, metadata=metadata, timeout=LIMIT)
    check(call)
    request = StreamingOutputCallRequest(response_parameters=[{"size": 314159}], payload=zeros(271828))
    call = stub.duplex(iter([request]), metadata=metadata, timeout=LIMIT)
    assert len(list(call)) == 1
    check(call)


def client_compressed_unary():
    def call(expected, compression):
        request = SimpleRequest(response_size=314159, payload=zeros(271828), expect_compressed={"value": expected})
        return stub.unary(request, compression=compression, timeout=LIMIT)

    fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: call(True, grpc.Compression.NoCompression))
    is_zeros(call(True, grpc.Compression.Gzip).payload, 314159)
    is_zeros(call(True, grpc.Compression.Deflate).payload, 314159)
    is_zeros(call(False, grpc.Compression.NoCompression).payload, 314159)


def soak(client):
    for _ in range(50):
        large(client())


CASES = {
    "large_unary": large,
    "status_code_and_message": lambda: status("test status method"),
    "special_status_message": lambda: status("\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"),
    "unimplemented_method": lambda: fails(grpc.StatusCode.UNIMPLEMENTED, lambda: stub.unimplemented(Empty(), timeout=LIMIT)),
    "unimplemented_service": lambda: fails(grpc.StatusCode.UNIMPLEMENTED, lambda: stub.nobody(Empty(), timeout=LIMIT)),
    "rpc_soak": lambda: soak(lambda: stub),
    "channel_soak": lambda: soak(Stub),
}
for case in (
    empty_unary, client_streaming, server_streaming, ping_pong, empty_stream, timeout_on_sleeping_server, cancel_after_begin,
    cancel_after_first_response, custom_metadata, client_compressed_unary,
):  # fmt: skip
    CASES[case.__name__] = case

CASES[sys.argv[2]]()
