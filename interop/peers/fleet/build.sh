#!/bin/sh
# Builds the programs: build.sh FOLDER. Needs Go, and the tools of `npm ci`. The source is that of v3; v2 is the same but for the files in `v2`.
set -eu
cd "$(dirname "$0")"
PATH="$PATH:/usr/local/go/bin"
contract=../../proto/fleet/v1/fleet.proto
# buf cleans `gen`
[ gen/fleetv1/fleet.pb.go -nt "$contract" ] && [ gen/fleetv1/fleet.pb.go -nt buf.gen.yaml ] || ../../../node_modules/.bin/buf generate
rm -rf gen/v2
mkdir -p gen/v2
for file in program/*.go; do
  sed 's#go-kratos/kratos/v3#go-kratos/kratos/v2#' "$file" >"gen/v2/$(basename "$file")"
done
cp v2/*.go gen/v2/
go build -trimpath -ldflags "-s -w" -o "$1/kratos-fleet-v3" ./program
go build -trimpath -ldflags "-s -w" -o "$1/kratos-fleet-v2" ./gen/v2
