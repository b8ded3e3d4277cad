/**
 * Reason classes: one error class per value of a contract's error enum, so that `catchTag("UserNotFound", …)` works on both ends of the
 * wire. Generated code extends `Reason.make`; the class knows its code and its reason, and a transport reads them off each instance.
 *
 * A reason below 500 is an answer, not a fault: it is made without a stack trace, which would cost ten times the rest. Reasons from 500
 * on have one.
 */
import type * as Cause from "effect/Cause"
import { NodeInspectSymbol } from "effect/Inspectable"
import * as Schema from "effect/Schema"
import { Detail } from "./Detail.ts"
import * as Instance from "./Instance.ts"
import * as Status from "./Status.ts"

/** The fields of every reason class. */
export interface Props extends Instance.Props {}

/** What the wires need of a reason class. */
export interface ReasonClass<out Self = unknown> {
  new (props: Props): Self
  readonly code: number
  readonly reason: string
}

const fields = {
  message: Schema.String,
  metadata: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  details: Schema.optionalKey(Schema.Array(Detail)),
  cause: Instance.localCause
}

/** The type of a reason class before it is extended. */
export type Base<Self, Tag extends string> = Schema.Class<
  Self,
  Schema.TaggedStruct<Tag, typeof fields>,
  Cause.YieldableError & { readonly [Status.TypeId]: Status.Status }
> & {
  readonly code: number
  readonly reason: string
}

/**
 * The base of a reason class: `class UserNotFound extends Reason.make<UserNotFound>("user.v1.UserNotFound")("UserNotFound", { code: 404, reason: "USER_NOT_FOUND" }) {}`.
 * `identifier` names it in schemas; `tag` is what `catchTag` takes; a `code` outside 300–599 is 500; `trace` overrides whether instances have a stack trace.
 */
export const make =
  <Self = never>(identifier: string) =>
  <const Tag extends string>(
    tag: Tag,
    options: { readonly code: number; readonly reason: string; readonly trace?: boolean | undefined }
  ): Base<Self, Tag> => {
    const status: Status.Status = { code: Status.isErrorCode(options.code) ? options.code : 500, reason: options.reason }
    const { trace = status.code >= 500 } = options

    class Mark extends Schema.TaggedError<Mark>(identifier)(tag, fields) {
      static readonly code = status.code
      static readonly reason = status.reason

      // Schema builds instances through the second parameter, which goes on unchanged: decoding is not affected
      // @effect-diagnostics-next-line overriddenSchemaConstructor:off
      constructor(props: Props, options?: Schema.MakeOptions) {
        // options come from Schema itself; props that it would accept need not go through it
        if (options === undefined && Instance.isProps(props)) {
          // an object of this class that gets every field of it here
          const self = Instance.allocate(new.target, props, trace) as { -readonly [K in keyof Mark]: Mark[K] }
          // Tag is still open here, so that TypeScript cannot see that it is the type of `_tag`
          ;(self as { _tag: string })._tag = tag
          if (props.metadata !== undefined) self.metadata = props.metadata
          if (props.details !== undefined) self.details = props.details
          return self
        }
        super(props, options)
      }

      get [Status.TypeId](): Status.Status {
        return status
      }

      /** The body of Kratos, in its order. The cause stays here. */
      override toJSON(): unknown {
        return { ...status, message: this.message, metadata: this.metadata ?? {} }
      }

      /** What `console.log` shows: all of it. */
      override [NodeInspectSymbol](): unknown {
        return Instance.inspect(this)
      }
    }
    // `Mark` stands for the class that will extend it: Self is known only to the caller
    return Mark as unknown as Base<Self, Tag>
  }
