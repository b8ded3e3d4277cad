/**
 * Metadata that travels with a call: HTTP headers and gRPC metadata under one type. Keys are lower case; a key may hold several values.
 * A key that ends in `-bin` holds base64 text, as on the wire of gRPC; `getBinary` and `setBinary` translate.
 */
import * as Base64 from "effect/encoding/Base64"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import * as Result from "effect/Result"

export interface Metadata extends ReadonlyMap<string, ReadonlyArray<string>> {}

/** Metadata under construction: what an aspect adds to an outgoing request, what a handler adds to its reply. */
export interface MutableMetadata extends Map<string, Array<string>> {}

export const empty: Metadata = new Map()

/** A fresh, empty writer. */
export const make = (): MutableMetadata => new Map()

/** Metadata from a record; values given as one string or several. Keys that differ only in case share their values. */
export const fromRecord = (record: Readonly<Record<string, string | ReadonlyArray<string>>>): MutableMetadata => {
  const self = make()
  for (const [key, value] of Object.entries(record)) {
    if (typeof value === "string") add(self, key, value)
    else for (const each of value) add(self, key, each)
  }
  return self
}

/** A writer that starts with the content of `self` and shares nothing with it. */
export const clone = (self: Metadata): MutableMetadata => {
  const copy = make()
  for (const [key, values] of self) copy.set(key, [...values])
  return copy
}

/** The first value stored under `key`. */
export const get: {
  (key: string): (self: Metadata) => Option.Option<string>
  (self: Metadata, key: string): Option.Option<string>
} = dual(2, (self: Metadata, key: string) => Option.fromUndefinedOr(self.get(key.toLowerCase())?.[0]))

/** All values stored under `key`, in order. */
export const getAll: {
  (key: string): (self: Metadata) => ReadonlyArray<string>
  (self: Metadata, key: string): ReadonlyArray<string>
} = dual(2, (self: Metadata, key: string) => self.get(key.toLowerCase()) ?? [])

/** Replaces the values of `key`. An empty key or value is ignored, as in Kratos. */
export const set = (self: MutableMetadata, key: string, value: string): void => {
  if (key !== "" && value !== "") self.set(key.toLowerCase(), [value])
}

/** Adds a value to `key`. An empty key is ignored. */
export const add = (self: MutableMetadata, key: string, value: string): void => {
  if (key === "") return
  const name = key.toLowerCase()
  const values = self.get(name)
  if (values === undefined) self.set(name, [value])
  else values.push(value)
}

/** The first value of a `-bin` key as bytes; none when it is absent or not base64. */
export const getBinary = (self: Metadata, key: string): Option.Option<Uint8Array> =>
  // a peer may join several values with commas, which base64 has not
  Option.flatMap(get(self, key), (text) => Option.getSuccess(decodeBase64(text.split(",", 1)[0]!.trim())))

/** Stores bytes under a `-bin` key, as unpadded base64. */
export const setBinary = (self: MutableMetadata, key: string, value: Uint8Array): void => {
  self.set(key.toLowerCase(), [Base64.encode(value).replaceAll("=", "")])
}

// gRPC peers send base64 with and without padding, and some the URL-safe alphabet.
const decodeBase64 = (text: string): Result.Result<Uint8Array, unknown> =>
  Base64.decode(text.replaceAll("-", "+").replaceAll("_", "/") + "=".repeat((4 - (text.length % 4)) % 4))
