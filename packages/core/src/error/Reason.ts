/**
 * Reason classes: one error class per value of a contract's error enum, so that `catchTag("UserNotFound", …)` works on both ends of the
 * wire. Generated code extends `Reason.make`; the class knows its code and its reason, and a transport reads them off each instance.
 */
import type * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"
import * as Status from "./Status.ts"

/** The fields of every reason class. */
export interface Props {
  readonly message: string
  readonly metadata?: Readonly<Record<string, string>>
  /** What led to it, for logs in this process; never on the wire. */
  readonly cause?: unknown
}

/** What the wires need of a reason class. */
export interface ReasonClass<out Self = unknown> {
  new (props: Props): Self
  readonly code: number
  readonly reason: string
}

const fields = {
  message: Schema.String,
  metadata: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  cause: Schema.optionalKey(Schema.Defect())
}

/** The type of a reason class before it is extended. */
export type Base<Self, Tag extends string> = Schema.Class<Self, Schema.TaggedStruct<Tag, typeof fields>, Cause.YieldableError & { readonly [Status.TypeId]: Status.Status }> & {
  readonly code: number
  readonly reason: string
}

/**
 * The base of a reason class: `class UserNotFound extends Reason.make<UserNotFound>("user.v1.UserNotFound")("UserNotFound", { code: 404, reason: "USER_NOT_FOUND" }) {}`.
 * `identifier` names it in schemas; `tag` is what `catchTag` takes.
 */
export const make =
  <Self = never>(identifier: string) =>
  <const Tag extends string>(tag: Tag, status: { readonly code: number; readonly reason: string }): Base<Self, Tag> => {
    class Mark extends Schema.TaggedError<Mark>(identifier)(tag, fields) {
      static readonly code = status.code
      static readonly reason = status.reason
      get [Status.TypeId](): Status.Status {
        return status
      }
    }
    // `Mark` stands for the class that will extend it: Self is known only to the caller
    return Mark as unknown as Base<Self, Tag>
  }
