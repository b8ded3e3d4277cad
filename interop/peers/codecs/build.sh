#!/bin/sh
# Builds the program: build.sh FILE. Needs Go, and the tools of `npm ci`.
set -eu
cd "$(dirname "$0")"
PATH="$PATH:/usr/local/go/bin"
../../../node_modules/.bin/buf generate
go build -o "$1" .
