"""The test contract for Python, from the descriptor set that install.sh leaves in the cache folder; no code is generated."""
import os
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# Codes by reason, as the enum TestReason maps them; TEAPOT has no gRPC code of its own.
CODES = {"THING_NOT_FOUND": 5, "QUOTA_EXHAUSTED": 8, "TEAPOT": 2}

# A call whose text starts so asks how many calls of the text behind it were interrupted.
ASK_INTERRUPTED = "@interrupted:"

DETAIL_TYPE = "type.googleapis.com/google.rpc.ErrorInfo"


def _read():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = os.environ.get("INTEROP_CONTRACT") or os.path.join(cache, "effect-kratos", "interop", "contract.binpb")
    with open(path, "rb") as file:
        return descriptor_pb2.FileDescriptorSet.FromString(file.read())


_pool = descriptor_pool.DescriptorPool()
for _file in _read().file:
    _pool.Add(_file)


def message(name):
    """The class of a message of the contract, or of gRPC's interop tests."""
    descriptor = _pool.FindMessageTypeByName(name)
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return _factory.GetPrototype(descriptor)


_factory = None if hasattr(message_factory, "GetMessageClass") else message_factory.MessageFactory(_pool)

EchoRequest = message("test.v1.EchoRequest")
EchoReply = message("test.v1.EchoReply")
Status = message("google.rpc.Status")
ErrorInfo = message("google.rpc.ErrorInfo")
HealthCheckRequest = message("grpc.health.v1.HealthCheckRequest")
HealthCheckResponse = message("grpc.health.v1.HealthCheckResponse")
SERVING = 1
