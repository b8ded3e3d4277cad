#!/bin/sh
# Builds the programs: build.sh FOLDER. Needs Go, and the tools of `npm ci`.
set -eu
cd "$(dirname "$0")"
PATH="$PATH:/usr/local/go/bin"
# one at a time: tests of several files come here at once
if command -v flock >/dev/null 2>&1; then
  exec 9>"$1/kratos-codecs.lock"
  flock 9
fi
contract=../../../packages/transport/test/proto/test/v1/rest.proto
[ gen/testv1/rest.pb.go -nt "$contract" ] || ../../../node_modules/.bin/buf generate
go build -o "$1/kratos-codecs" .
go build -o "$1/kratos-rest-v2" ./rest/v2
go build -o "$1/kratos-rest-v3" ./rest/v3
