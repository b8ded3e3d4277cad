"""Serves grpc.testing.TestService with gRPC's C core: interop_server.py PORT [CERT KEY]."""
import os
import sys
import time
from concurrent import futures

import grpc

from testing import INITIAL, SERVICE, STATUSES, TRAILING, Empty, SimpleRequest, SimpleResponse, zeros
from testing import StreamingInputCallRequest, StreamingInputCallResponse, StreamingOutputCallRequest, StreamingOutputCallResponse


def echo_metadata(context):
    values = context.invocation_metadata()
    header = [(key, value) for key, value in values if key == INITIAL]
    if header:
        context.send_initial_metadata(header)
    context.set_trailing_metadata([(key, value) for key, value in values if key == TRAILING])


def echo_status(request, context):
    status = request.response_status
    if status.code != 0:
        context.abort(STATUSES[status.code], status.message)


def empty(request, context):
    return Empty()


def unary(request, context):
    if request.response_compressed.value:
        context.set_compression(grpc.Compression.Gzip)
    echo_metadata(context)
    echo_status(request, context)
    if request.HasField("response_compressed") and not request.response_compressed.value:
        context.disable_next_message_compression()
    server_id = f"python-{os.getpid()}" if request.fill_server_id else ""
    return SimpleResponse(payload=zeros(request.response_size), server_id=server_id)


def replies(request, context):
    for parameters in request.response_parameters:
        time.sleep(parameters.interval_us / 1e6)
        if not parameters.compressed.value:
            context.disable_next_message_compression()
        yield StreamingOutputCallResponse(payload=zeros(parameters.size))


def output(request, context):
    if any(parameters.compressed.value for parameters in request.response_parameters):
        context.set_compression(grpc.Compression.Gzip)
    yield from replies(request, context)


def input_(requests, context):
    return StreamingInputCallResponse(aggregated_payload_size=sum(len(request.payload.body) for request in requests))


def duplex(requests, context):
    echo_metadata(context)
    for request in requests:
        echo_status(request, context)
        yield from replies(request, context)


def main():
    port, secrets = sys.argv[1], sys.argv[2:]
    methods = {
        "EmptyCall": grpc.unary_unary_rpc_method_handler(empty, Empty.FromString, Empty.SerializeToString),
        "UnaryCall": grpc.unary_unary_rpc_method_handler(unary, SimpleRequest.FromString, SimpleResponse.SerializeToString),
        "StreamingInputCall": grpc.stream_unary_rpc_method_handler(
            input_, StreamingInputCallRequest.FromString, StreamingInputCallResponse.SerializeToString
        ),
        "StreamingOutputCall": grpc.unary_stream_rpc_method_handler(
            output, StreamingOutputCallRequest.FromString, StreamingOutputCallResponse.SerializeToString
        ),
        "FullDuplexCall": grpc.stream_stream_rpc_method_handler(
            duplex, StreamingOutputCallRequest.FromString, StreamingOutputCallResponse.SerializeToString
        ),
    }
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    address = f"127.0.0.1:{port}"
    if secrets:
        cert, key = (open(name, "rb").read() for name in secrets)
        server.add_secure_port(address, grpc.ssl_server_credentials([(key, cert)]))
    else:
        server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


main()
