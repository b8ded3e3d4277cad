#!/bin/sh
# Builds the programs: build.sh FOLDER; nothing to do when they are there, of these sources. Needs Go, and the tools of `npm ci`.
# The source is that of v3; v2 is the same but for the files in `v2`.
set -eu
cd "$(dirname "$0")"
PATH="$PATH:/usr/local/go/bin"
contract=../../proto/fleet/v1/fleet.proto
sum=$(cat build.sh buf.gen.yaml go.mod go.sum program/*.go v2/*.go "$contract" | sha256sum)
if [ -x "$1/kratos-fleet-v2" ] && [ -x "$1/kratos-fleet-v3" ] && [ "$sum" = "$(cat "$1/kratos-fleet.sum" 2>/dev/null)" ]; then exit 0; fi
../../../node_modules/.bin/buf generate # which clears `gen`
mkdir -p gen/v2
for file in program/*.go; do
  sed 's#go-kratos/kratos/v3#go-kratos/kratos/v2#' "$file" >"gen/v2/$(basename "$file")"
done
cp v2/*.go gen/v2/
go build -trimpath -ldflags "-s -w" -o "$1/kratos-fleet-v3" ./program
go build -trimpath -ldflags "-s -w" -o "$1/kratos-fleet-v2" ./gen/v2
echo "$sum" >"$1/kratos-fleet.sum"
