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
need chromium command -v chromium
need curl command -v curl
need openssl command -v openssl
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
  # Tools that tests find on PATH: put "$cache/go" there. One that cannot be had is a test skipped by name.
  tool() { # tool NAME MODULE
    [ -x "$cache/go/$1" ] || GOBIN="$cache/go" go install "$2" || echo "no $1; what needs it will be skipped" >&2
  }
  tool grpcurl github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3
  tool connectconformance connectrpc.com/conformance/cmd/connectconformance@v1.0.5
  tool h2spec github.com/summerwind/h2spec/cmd/h2spec@af83a65 # its tags do not install
else
  echo "no go (1.26 or newer); what needs it will be skipped" >&2
fi
