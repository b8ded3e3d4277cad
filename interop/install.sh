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
need etcd-client command -v etcdctl
need etcd-server command -v etcd
need haproxy command -v haproxy
need nghttp2-client command -v h2load
need nghttp2-proxy command -v nghttpx
need nginx-light sh -c "PATH=$PATH:/usr/sbin command -v nginx"
need prometheus command -v promtool
need python3-kazoo /usr/bin/python3 -c "import kazoo"
need python3-grpcio /usr/bin/python3 -c "import grpc"
need python3-h2 /usr/bin/python3 -c "import h2"
need python3-protobuf /usr/bin/python3 -c "import google.protobuf"
need ruby-grpc ruby -e 'exit File.exist?(Gem::Specification.find_by_name("grpc").gem_dir + "/src/ruby/pb/test/client.rb")'
need zookeeper test -e /usr/share/java/zookeeper.jar
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

# Consul, of an older Debian release that still had it: its package, from the mirror that this system uses, checked by Debian's keys, unpacked beside the
# tools; nothing of the system is touched.
keys=/usr/share/keyrings/debian-archive-keyring.gpg
mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\{0,1\}\(http[^ ]*\) .*/\2/p' /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
if [ -x "$cache/go/consul" ]; then
  :
elif [ -n "$mirror" ] && [ -e "$keys" ] && command -v apt-get >/dev/null 2>&1; then
  work=$(mktemp -d)
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
  echo "deb [signed-by=$keys] $mirror bullseye main" >"$work/sources.list"
  if (
    cd "$work"
    apt="apt-get -qq -o Dir::State::Lists=$work/lists -o Dir::Cache=$work/cache -o Dir::Etc::SourceList=$work/sources.list -o Dir::Etc::SourceParts=/dev/null -o APT::Sandbox::User=root"
    $apt update && $apt download consul/bullseye && dpkg -x consul_*.deb x
  ) >&2; then
    cp "$work/x/usr/bin/consul" "$cache/go/consul"
  else
    echo "no consul; what needs it will be skipped" >&2
  fi
  rm -rf "$work"
else
  echo "no mirror of Debian or no keys of it here, so no consul; what needs it will be skipped" >&2
fi

# The contract as descriptors, which every peer reads: no peer has to generate code.
cd "$here/.."
node_modules/.bin/buf build -o "$cache/contract.binpb" \
  --path packages/transport/test/proto/test/v1/echo.proto \
  --path interop/proto/grpc/testing/test.proto \
  --path packages/protoc-gen/proto/google/rpc/status.proto \
  --path packages/protoc-gen/proto/google/rpc/error_details.proto \
  --path packages/protoc-gen/proto/grpc/health/v1/health.proto

if command -v go >/dev/null 2>&1; then
  (cd "$here/peers/go" && go build -o "$cache/go/" ./client ./server)
  built() { # built NAME MODULE VERSION: is it there, of this version?
    [ -x "$cache/go/$1" ] && go version -m "$cache/go/$1" | awk -v module="$2" -v version="$3" \
      '($1 == "mod" || $1 == "dep") && index(module "/", $2 "/") == 1 && index($3, version) { found = 1 } END { exit !found }'
  }
  interop/peers/codecs/build.sh "$cache/go" || echo "no codecs of Kratos; what needs them will be skipped" >&2
  interop/peers/fleet/build.sh "$cache/go" >&2 || echo "no members of a fleet on Kratos; what needs them will be skipped" >&2
  # Tools that tests find on PATH: put "$cache/go" there. One that cannot be had is a test skipped by name.
  tool() { # tool NAME PACKAGE@VERSION
    built "$1" "${2%@*}" "${2#*@}" || GOBIN="$cache/go" go install "$2" || echo "no $1; what needs it will be skipped" >&2
  }
  tool grpcurl github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3
  tool connectconformance connectrpc.com/conformance/cmd/connectconformance@v1.0.5
  tool h2spec github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible

  # the OpenTelemetry Collector with nothing but what the tests look at
  collector=v0.159.0
  if ! built otelcol go.opentelemetry.io/collector/receiver/otlpreceiver "$collector"; then
    work=$(mktemp -d)
    cat >"$work/builder.yaml" <<END
dist: { name: otelcol, description: OpenTelemetry Collector of the tests, output_path: $work/dist, version: ${collector#v} }
receivers: [{ gomod: go.opentelemetry.io/collector/receiver/otlpreceiver $collector }]
exporters: [{ gomod: go.opentelemetry.io/collector/exporter/debugexporter $collector }]
END
    (cd "$work" && go run "go.opentelemetry.io/collector/cmd/builder@$collector" --config builder.yaml) >&2 && mv "$work/dist/otelcol" "$cache/go/otelcol" ||
      echo "no otelcol; what needs it will be skipped" >&2
    rm -rf "$work"
  fi

  # Kubernetes' API server; large, so built once for each go.mod
  if ! cmp -s "$here/peers/kube-apiserver/go.mod" "$cache/go/kube-apiserver.mod"; then
    (cd "$here/peers/kube-apiserver" && go build -trimpath -ldflags "-s -w" -o "$cache/go/kube-apiserver" .) >&2 &&
      cp "$here/peers/kube-apiserver/go.mod" "$cache/go/kube-apiserver.mod" ||
      echo "no kube-apiserver; what needs it will be skipped" >&2
  fi

  # the interop programs of grpc-go, at the version of their go.mod
  grpc=$(cd "$here/peers/grpc-go" && go list -m -f '{{.Version}}' google.golang.org/grpc)
  for program in client http2 server; do
    built "grpc-go-interop-$program" google.golang.org/grpc "$grpc" ||
      (cd "$here/peers/grpc-go" && go build -o "$cache/go/grpc-go-interop-$program" "google.golang.org/grpc/interop/$program") ||
      echo "no grpc-go-interop-$program; what needs it will be skipped" >&2
  done
else
  echo "no go (1.26 or newer); what needs it will be skipped" >&2
fi

# The interop programs of grpc-java: its jars, where there is Java and Maven. The pom says which; a copy of it beside them says which they are.
jars="$cache/grpc-java"
if cmp -s "$here/peers/grpc-java/pom.xml" "$jars/pom.xml"; then
  :
elif command -v java >/dev/null 2>&1 && command -v mvn >/dev/null 2>&1; then
  rm -rf "$jars" "$jars.new"
  if mvn -q -B -f "$here/peers/grpc-java/pom.xml" dependency:copy-dependencies -DoutputDirectory="$jars.new" >&2; then
    cp "$here/peers/grpc-java/pom.xml" "$jars.new/pom.xml"
    mv "$jars.new" "$jars"
  else
    echo "no interop programs of grpc-java; what needs them will be skipped" >&2
  fi
else
  echo "no java or no mvn; what needs grpc-java will be skipped" >&2
fi
