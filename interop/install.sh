#!/bin/sh
# Gets what the peers need; quick when it is already there. Debian or Ubuntu, as root or with sudo; what it builds goes to a cache folder.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/effect-kratos/interop"
mkdir -p "$cache/go"

packages=""
need() { # need PACKAGE CHECK...
  package=$1
  shift
  "$@" >/dev/null 2>&1 || packages="$packages $package"
}
need curl command -v curl
need nghttp2-client command -v h2load
need python3-grpcio /usr/bin/python3 -c "import grpc"
need python3-protobuf /usr/bin/python3 -c "import google.protobuf"
if [ -n "$packages" ]; then
  if command -v apt-get >/dev/null 2>&1; then
    as_root=""
    [ "$(id -u)" = 0 ] || as_root="sudo"
    $as_root apt-get update -qq
    # shellcheck disable=SC2086 # a list of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
  else
    echo "missing:$packages, and no apt-get here; what needs them will be skipped" >&2
  fi
fi

# The contract as descriptors, which every peer reads: no peer has to generate code.
cd "$here/.."
node_modules/.bin/buf build -o "$cache/contract.binpb" \
  --path packages/transport/test/proto/test/v1/echo.proto \
  --path packages/protoc-gen/proto/google/rpc/status.proto \
  --path packages/protoc-gen/proto/google/rpc/error_details.proto \
  --path packages/protoc-gen/proto/grpc/health/v1/health.proto

if command -v go >/dev/null 2>&1; then
  (cd "$here/peers/go" && go build -o "$cache/go/" ./client ./server)
else
  echo "no go (1.26 or newer); what needs it will be skipped" >&2
fi
