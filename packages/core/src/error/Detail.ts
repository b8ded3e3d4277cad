/**
 * Details of an error: messages that a contract attaches beside reason and metadata (`google.rpc.BadRequest`, a message of its own). They travel through
 * a service unchanged on gRPC, gRPC-Web and Connect; this package knows no protobuf, so they are bytes here, and transports pack and unpack them.
 */
import * as Schema from "effect/Schema"

export interface Detail {
  /** Full name of the message, `google.rpc.BadRequest`; with the whole of its type URL when that does not begin with `type.googleapis.com/`. */
  readonly type: string
  /** The message in protobuf's binary form. */
  readonly value: Uint8Array
}

export const Detail = Schema.Struct({ type: Schema.String, value: Schema.Uint8Array })

/** The message in which reason and metadata travel. A detail of this type stands for both, and none is made from them. */
export const errorInfo = "google.rpc.ErrorInfo"

/** The details without those that stand for reason and metadata; undefined when none is left. */
export const withoutErrorInfo = (details: ReadonlyArray<Detail> | undefined): ReadonlyArray<Detail> | undefined => {
  const others = details?.filter(({ type }) => type !== errorInfo)
  return others === undefined || others.length === 0 ? undefined : others
}

/** Checks by hand what Schema would check. */
export const areDetails = (value: unknown): boolean =>
  Array.isArray(value) &&
  // an array of anything
  (value as ReadonlyArray<unknown>).every(
    (detail) =>
      typeof detail === "object" &&
      detail !== null &&
      "type" in detail &&
      typeof detail.type === "string" &&
      "value" in detail &&
      detail.value instanceof Uint8Array
  )
