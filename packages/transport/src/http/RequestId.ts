/**
 * A name for each request, to find it again: the one that it came with, if that is well-formed, else one of ours. The reply has it, handlers find it in
 * the request's metadata, and log lines written for the call are annotated with `requestId`.
 *
 * gRPC calls keep the name they come with and get none of ours: their heads are made once per connection, not per call.
 */
import * as Uuid from "@effect-kratos/core/Uuid"
import type { Random } from "effect/Random"

export interface Options {
  /** The field of requests and replies. Default `x-request-id`. */
  readonly header?: string | undefined
  /** Makes a name, of at most 128 characters that `isWellFormed` takes. Default: a random UUID of `Random`. */
  readonly generate?: (() => string) | undefined
  /** Whether the names of callers are kept. Default true. */
  readonly accept?: boolean | undefined
}

export interface RequestId {
  readonly header: string
  readonly value: string
}

export interface RequestIds {
  /** The name that a request came with. */
  readonly given: (fields: ReadonlyArray<string>) => RequestId | undefined
  readonly create: () => RequestId
}

/** Letters, digits and `._~:/+=@-`, up to 128: nothing that could end a line, a field or a quotation where it is repeated. */
export const isWellFormed = (value: string): boolean => /^[\w.~:/+=@-]{1,128}$/.test(value)

export const make = (options: Options, random: Random): RequestIds => {
  const { accept = true, generate = () => Uuid.fromRandom(random) } = options
  const header = (options.header ?? "x-request-id").toLowerCase()
  return {
    given: (fields) => {
      if (!accept) return undefined
      for (let i = 0; i < fields.length; i += 2)
        if (fields[i] === header) return isWellFormed(fields[i + 1]!) ? { header, value: fields[i + 1]! } : undefined
      return undefined
    },
    create: () => ({ header, value: generate() })
  }
}
