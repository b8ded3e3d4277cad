"""Serves test.v1.Echo and grpc.health.v1.Health with gRPC's C core. Prints {"port":N} and ends with its standard input."""
import base64
import collections
import sys
import threading
from concurrent import futures

import grpc

import contract

STATUSES = {code.value[0]: code for code in grpc.StatusCode}

interrupted = collections.Counter()
lock = threading.Lock()


def watch(context):
    """An event that is set when the call is over, cancelled or not."""
    over = threading.Event()
    if not context.add_callback(over.set):
        over.set()
    return over


def wait(request, over):
    """Sleeps; False when the call ended meanwhile, which is counted under its text."""
    if request.delay_ms <= 0 or not over.wait(request.delay_ms / 1000):
        return True
    count_interrupted(request)
    return False


def count_interrupted(request):
    with lock:
        interrupted[request.text] += 1


def returned(context, names):
    """The metadata asked for, three ways: in the message, as headers and as trailers."""
    in_message, header, trailer = {}, [], []
    for name in names:
        values = [value for key, value in context.invocation_metadata() if key == name]
        if not values:
            continue
        header += [("echo-" + name, value) for value in values]
        trailer += [("trailer-" + name, value) for value in values]
        in_message[name] = ",".join(
            base64.b64encode(value).decode().rstrip("=") if isinstance(value, bytes) else value for value in values
        )
    return in_message, header, trailer


def fail(request, context, trailer=()):
    """Ends the call when the request asks for a failure."""
    if not request.fail_reason:
        return
    code = contract.CODES.get(request.fail_reason, 2)
    message = f"{request.fail_reason}: {request.text}"
    status = contract.Status(code=code, message=message)
    info = contract.ErrorInfo(reason=request.fail_reason, metadata={"text": request.text})
    status.details.add(type_url=contract.DETAIL_TYPE, value=info.SerializeToString())
    context.set_trailing_metadata((*trailer, ("grpc-status-details-bin", status.SerializeToString())))
    context.abort(STATUSES[code], message)


def unary(request, context):
    if request.text.startswith(contract.ASK_INTERRUPTED):
        with lock:
            return contract.EchoReply(text=request.text, index=interrupted[request.text[len(contract.ASK_INTERRUPTED) :]])
    if not wait(request, watch(context)):
        return contract.EchoReply()
    in_message, header, trailer = returned(context, request.echo_metadata)
    context.send_initial_metadata(header)
    context.set_trailing_metadata(trailer)
    fail(request, context, trailer)
    return contract.EchoReply(text=request.text, payload=request.payload, metadata=in_message)


def replies(request, context, over, first, count):
    in_message, header, trailer = returned(context, request.echo_metadata)
    if header and first == 0:
        context.send_initial_metadata(header)
        context.set_trailing_metadata(trailer)
    for index in range(first, first + count):
        if not wait(request, over):
            return
        try:
            yield contract.EchoReply(text=request.text, payload=request.payload, index=index, metadata=in_message)
        except GeneratorExit:  # the library gives up a cancelled call between two replies
            count_interrupted(request)
            raise
    fail(request, context, trailer)


def server_stream(request, context):
    yield from replies(request, context, watch(context), 0, request.count)


def client_stream(requests, context):
    over, texts, payload = watch(context), [], b""
    for request in requests:
        if not wait(request, over):
            break
        fail(request, context)
        texts.append(request.text)
        payload += request.payload
    return contract.EchoReply(text=",".join(texts), payload=payload, index=len(texts))


def bidi(requests, context):
    over, first = watch(context), 0
    for request in requests:
        count = max(1, request.count)
        yield from replies(request, context, over, first, count)
        first += count


def check(request, context):
    if request.service not in ("", "test.v1.Echo"):
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
    return contract.HealthCheckResponse(status=contract.SERVING)


def handlers():
    codec = dict(request_deserializer=contract.EchoRequest.FromString, response_serializer=contract.EchoReply.SerializeToString)
    return (
        grpc.method_handlers_generic_handler(
            "test.v1.Echo",
            {
                "Unary": grpc.unary_unary_rpc_method_handler(unary, **codec),
                "Old": grpc.unary_unary_rpc_method_handler(unary, **codec),
                "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream, **codec),
                "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream, **codec),
                "Bidi": grpc.stream_stream_rpc_method_handler(bidi, **codec),
            },
        ),
        grpc.method_handlers_generic_handler(
            "grpc.health.v1.Health",
            {
                "Check": grpc.unary_unary_rpc_method_handler(
                    check,
                    request_deserializer=contract.HealthCheckRequest.FromString,
                    response_serializer=contract.HealthCheckResponse.SerializeToString,
                )
            },
        ),
    )


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32), compression=grpc.Compression.Gzip)
    server.add_generic_rpc_handlers(handlers())
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f'{{"port":{port}}}', flush=True)
    sys.stdin.read()
    server.stop(0)


main()
