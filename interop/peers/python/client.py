"""Takes a server of test.v1.Echo through the cases with gRPC's C core: client.py HOST:PORT [CASE ...].

It prints "ok NAME", "skip NAME why" or "FAIL NAME why" for each and ends with 1 when one failed.
"""
import base64
import os
import sys
import threading
import time

import grpc

import contract
from contract import EchoRequest

LIMIT = 20  # seconds for any one call


class Skip(Exception):
    """The case cannot be judged from here."""


class Echo:
    def __init__(self, target):
        self.channel = grpc.insecure_channel(target)
        codec = dict(request_serializer=EchoRequest.SerializeToString, response_deserializer=contract.EchoReply.FromString)
        self.unary = self.channel.unary_unary("/test.v1.Echo/Unary", **codec)
        self.server_stream = self.channel.unary_stream("/test.v1.Echo/ServerStream", **codec)
        self.client_stream = self.channel.stream_unary("/test.v1.Echo/ClientStream", **codec)
        self.bidi = self.channel.stream_stream("/test.v1.Echo/Bidi", **codec)

    def raw(self, path):
        return self.channel.unary_unary(path)(b"", timeout=LIMIT)


def expect(what, actual, expected):
    if actual != expected:
        raise AssertionError(f"{what}: expected {expected!r}, got {actual!r}")


def same(reply, text, payload=b"", index=0):
    expect("text", reply.text, text)
    expect("index", reply.index, index)
    if reply.payload != payload:
        raise AssertionError(f"expected {len(payload)} bytes of payload, got {len(reply.payload)}, or others")


def all_same(replies, text, count, payload=b""):
    replies = list(replies)
    expect("number of replies", len(replies), count)
    for index, reply in enumerate(replies):
        same(reply, text, payload, index)


def failure(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call succeeded")


def has_code(error, code):
    expect("code", (error.code(), error.details()), (code, error.details()))


def is_reason(error, code, reason, text):
    """Expects code, message and details of a reason."""
    has_code(error, code)
    expect("message", error.details(), f"{reason}: {text}")
    found = [value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin"]
    expect("number of grpc-status-details-bin", len(found), 1)
    status = contract.Status.FromString(found[0])
    expect("code in the details", status.code, code.value[0])
    infos = [contract.ErrorInfo.FromString(detail.value) for detail in status.details if detail.type_url == contract.DETAIL_TYPE]
    expect("details", [(info.reason, info.metadata["text"]) for info in infos], [(reason, text)])


def interrupted(echo, text):
    """Waits until the server says that its handler of the call with this text was interrupted."""
    for _ in range(100):
        if echo.unary(EchoRequest(text=contract.ASK_INTERRUPTED + text), timeout=LIMIT).index > 0:
            return
        time.sleep(0.05)
    raise AssertionError("the handler was not interrupted within 5 s")


def unique(name):
    return f"python-{name}-{os.getpid()}-{time.monotonic_ns()}"


def pattern(size):
    return bytes(i * 31 & 255 for i in range(256)) * (size // 256) + bytes(i * 31 & 255 for i in range(size % 256))


def unary(echo):
    same(echo.unary(EchoRequest(text="hällo", payload=pattern(300)), timeout=LIMIT), "hällo", pattern(300))


def unary_empty(echo):
    same(echo.unary(EchoRequest(), timeout=LIMIT), "")


def unary_concurrent(echo):
    calls = [echo.unary.future(EchoRequest(text=f"call {i}", delay_ms=i % 3), timeout=LIMIT) for i in range(100)]
    for i, call in enumerate(calls):
        same(call.result(), f"call {i}")


def server_stream(echo):
    all_same(echo.server_stream(EchoRequest(text="s", count=5), timeout=LIMIT), "s", 5)


def server_stream_large(echo):
    all_same(echo.server_stream(EchoRequest(text="big", count=64, payload=pattern(65536)), timeout=LIMIT), "big", 64, pattern(65536))


def client_stream(echo):
    requests = [EchoRequest(text="a", payload=b"\1"), EchoRequest(text="b"), EchoRequest(text="c", payload=b"\2\3")]
    same(echo.client_stream(iter(requests), timeout=LIMIT), "a,b,c", b"\1\2\3", 3)


def client_stream_empty(echo):
    same(echo.client_stream(iter(()), timeout=LIMIT), "")


def bidi(echo):
    all_same(echo.bidi(iter([EchoRequest(text="b", count=n) for n in (2, 2, 0)]), timeout=LIMIT), "b", 5)


def bidi_ping_pong(echo):
    turn = threading.Semaphore(1)

    def requests():
        for i in range(10):
            turn.acquire()
            yield EchoRequest(text=f"ping {i}")
        turn.acquire()

    count = 0
    for i, reply in enumerate(echo.bidi(requests(), timeout=LIMIT)):
        same(reply, f"ping {i}", b"", i)
        count += 1
        turn.release()
    expect("number of replies", count, 10)


def error(echo):
    failed = failure(echo.unary, EchoRequest(text="x", fail_reason="THING_NOT_FOUND"), timeout=LIMIT)
    is_reason(failed, grpc.StatusCode.NOT_FOUND, "THING_NOT_FOUND", "x")


def error_unmapped(echo):
    failed = failure(echo.unary, EchoRequest(text="x", fail_reason="TEAPOT"), timeout=LIMIT)
    is_reason(failed, grpc.StatusCode.UNKNOWN, "TEAPOT", "x")


def error_text(echo):
    text = "böse 100% \r\n\t✓"
    failed = failure(echo.unary, EchoRequest(text=text, fail_reason="THING_NOT_FOUND"), timeout=LIMIT)
    is_reason(failed, grpc.StatusCode.NOT_FOUND, "THING_NOT_FOUND", text)


def error_stream(echo):
    call, seen = echo.server_stream(EchoRequest(text="e", count=2, fail_reason="QUOTA_EXHAUSTED"), timeout=LIMIT), []
    failed = failure(lambda: seen.extend(call))
    expect("number of replies before the error", len(seen), 2)
    is_reason(failed, grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXHAUSTED", "e")


def deadline(echo):
    text = unique("deadline")
    has_code(failure(echo.unary, EchoRequest(text=text, delay_ms=60000), timeout=0.2), grpc.StatusCode.DEADLINE_EXCEEDED)
    interrupted(echo, text)


def cancel(echo):
    text = unique("cancel")
    call = echo.unary.future(EchoRequest(text=text, delay_ms=60000), timeout=LIMIT)
    time.sleep(0.2)
    call.cancel()
    expect("code", call.code(), grpc.StatusCode.CANCELLED)
    interrupted(echo, text)


def cancel_after_two(echo, call, text):
    """Leaves a stream that would go on for a minute after its second reply."""
    for _ in range(2):
        expect("text", next(call).text, text)
    call.cancel()
    has_code(failure(lambda: list(call)), grpc.StatusCode.CANCELLED)
    interrupted(echo, text)


def cancel_stream(echo):
    text = unique("cancel-stream")
    cancel_after_two(echo, echo.server_stream(EchoRequest(text=text, count=3000, delay_ms=20), timeout=LIMIT), text)


def cancel_bidi(echo):
    text = unique("cancel-bidi")
    requests = iter([EchoRequest(text=text, count=3000, delay_ms=20)])
    cancel_after_two(echo, echo.bidi(requests, timeout=LIMIT), text)


def metadata(echo):
    sent = (("x-one", "a b"), ("x-many", "1"), ("x-many", "2"), ("x-raw-bin", pattern(256)))
    request = EchoRequest(echo_metadata=["x-one", "x-many", "x-raw-bin", "x-none"])
    reply, call = echo.unary.with_call(request, metadata=sent, timeout=LIMIT)

    def joined(text):  # HTTP lets a peer join the lines of a header, with or without a space
        return text.replace(", ", ",")

    seen = {**reply.metadata, "x-many": joined(reply.metadata["x-many"])}
    expect("what the handler saw", seen, {"x-one": "a b", "x-many": "1,2", "x-raw-bin": base64.b64encode(pattern(256)).decode().rstrip("=")})
    for place, entries in (("echo-", call.initial_metadata()), ("trailer-", call.trailing_metadata())):
        values = {name: [value for key, value in entries if key == place + name] for name in ("x-one", "x-many", "x-raw-bin")}
        values["x-many"] = joined(",".join(values["x-many"]))
        expect(place, values, {"x-one": ["a b"], "x-many": "1,2", "x-raw-bin": [pattern(256)]})


def gzip(echo):
    payload = b"compressible " * 10000
    same(echo.unary(EchoRequest(text="z", payload=payload), compression=grpc.Compression.Gzip, timeout=LIMIT), "z", payload)


def gzip_reply(_):
    raise Skip("the C core does not show how a reply was encoded")


def large(echo):
    same(echo.unary(EchoRequest(text="1 MiB", payload=pattern(1 << 20)), timeout=LIMIT), "1 MiB", pattern(1 << 20))


def oversize(echo):
    has_code(failure(echo.unary, EchoRequest(payload=pattern(5 << 20)), timeout=LIMIT), grpc.StatusCode.RESOURCE_EXHAUSTED)
    same(echo.unary(EchoRequest(text="still there"), timeout=LIMIT), "still there")


def unknown_method(echo):
    has_code(failure(echo.raw, "/test.v1.Echo/Nope"), grpc.StatusCode.UNIMPLEMENTED)


def unknown_service(echo):
    has_code(failure(echo.raw, "/test.v1.Nope/Unary"), grpc.StatusCode.UNIMPLEMENTED)


def health(echo):
    check = echo.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=contract.HealthCheckRequest.SerializeToString,
        response_deserializer=contract.HealthCheckResponse.FromString,
    )
    for service in ("", "test.v1.Echo"):
        expect("status", check(contract.HealthCheckRequest(service=service), timeout=LIMIT).status, contract.SERVING)
    has_code(failure(check, contract.HealthCheckRequest(service="test.v1.Nope"), timeout=LIMIT), grpc.StatusCode.NOT_FOUND)


CASES = (
    unary, unary_empty, unary_concurrent, server_stream, server_stream_large, client_stream, client_stream_empty, bidi, bidi_ping_pong,
    error, error_unmapped, error_text, error_stream, deadline, cancel, cancel_stream, cancel_bidi, metadata, gzip, gzip_reply, large,
    oversize, unknown_method, unknown_service, health,
)  # fmt: skip


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: client.py HOST:PORT [CASE ...]")
    echo, only, failed = Echo(sys.argv[1]), sys.argv[2:], False
    for case in CASES:
        name = case.__name__.replace("_", "-")
        if only and name not in only:
            continue
        try:
            case(echo)
            print("ok", name, flush=True)
        except Skip as why:
            print("skip", name, why, flush=True)
        except Exception as why:  # whatever it is, it is the case that failed
            failed = True
            text = f"{why.code().name}: {why.details()}" if isinstance(why, grpc.Call) else f"{type(why).__name__}: {why}"
            print("FAIL", name, text.replace("\n", "; ")[:300], flush=True)
    sys.exit(1 if failed else 0)


main()
