"""grpc.testing.TestService for Python, from the descriptor set that install.sh leaves in the cache folder."""
import grpc

from contract import message

Empty = message("grpc.testing.Empty")
Payload = message("grpc.testing.Payload")
SimpleRequest = message("grpc.testing.SimpleRequest")
SimpleResponse = message("grpc.testing.SimpleResponse")
StreamingInputCallRequest = message("grpc.testing.StreamingInputCallRequest")
StreamingInputCallResponse = message("grpc.testing.StreamingInputCallResponse")
StreamingOutputCallRequest = message("grpc.testing.StreamingOutputCallRequest")
StreamingOutputCallResponse = message("grpc.testing.StreamingOutputCallResponse")

SERVICE = "grpc.testing.TestService"
INITIAL = "x-grpc-test-echo-initial"
TRAILING = "x-grpc-test-echo-trailing-bin"

STATUSES = {code.value[0]: code for code in grpc.StatusCode}


def zeros(size):
    return Payload(body=bytes(size))
