/**
 * How the error classes of this package are built without paying for what a call does not need.
 *
 * Schema's constructor costs about a microsecond and a stack trace three to eight more, so a service that answers 404 for a living would
 * spend more on its errors than on its calls. `allocate` makes a genuine `Error` of a class without running the constructors of the class,
 * with a trace only where one was asked for.
 */

import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import { areDetails, type Detail } from "./Detail.ts"

/**
 * The schema of a field that stays in its process: an encoder leaves it out and a decoder ignores what a peer puts there. A cause may be
 * a driver's error with a connection string in its text.
 */
export const localCause = Schema.optionalKey(Schema.Unknown).pipe(
  Schema.decodeTo(Schema.optionalKey(Schema.Unknown), { decode: SchemaGetter.omit(), encode: SchemaGetter.omit() })
)

/** What every error class of this package has beside its tag. */
export interface Props {
  readonly message: string
  readonly metadata?: Readonly<Record<string, string>>
  /** Messages of the contract that travel with it over gRPC, gRPC-Web and Connect. */
  readonly details?: ReadonlyArray<Detail>
  /** What led to it, for logs in this process; never on the wire. */
  readonly cause?: unknown
}

/** Makes an `Error` whose prototype is that of `target`. The trace, if wanted, begins where `target` was called. */
export const allocate = (target: NewableFunction, props: Props, trace: boolean): Error => {
  const limit = Error.stackTraceLimit
  const writable = limitIsWritable
  if (writable) Error.stackTraceLimit = 0
  // V8 captures while it constructs; nothing between the two assignments runs user code
  const error: Error = Reflect.construct(
    Error,
    props.cause === undefined ? [props.message] : [props.message, { cause: props.cause }],
    target
  )
  if (writable) {
    Error.stackTraceLimit = limit
    if (trace) Error.captureStackTrace(error, target)
  }
  return error
}

/** The wire's view of an error with what stays at home: its tag, its cause, its trace. For the eyes of whoever debugs the process. */
export const inspect = (
  error: Error & { readonly _tag: string; readonly details?: ReadonlyArray<Detail>; readonly toJSON: () => unknown }
): unknown => ({
  _tag: error._tag,
  // an object, as the classes of this package define it
  ...(error.toJSON() as object),
  ...(error.details === undefined ? undefined : { details: error.details }),
  ...(error.cause === undefined ? undefined : { cause: error.cause }),
  stack: error.stack
})

/** Checks by hand what Schema would check; what fails here goes to Schema, whose message says what is wrong. */
export const isProps = (props: Props): boolean =>
  typeof props === "object" &&
  props !== null &&
  typeof props.message === "string" &&
  (props.metadata === undefined || isMetadata(props.metadata)) &&
  (props.details === undefined ? !("details" in props) : areDetails(props.details))

/** True for a record whose values are strings. */
export const isMetadata = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false
  for (const key in value) if (typeof (value as Readonly<Record<string, unknown>>)[key] !== "string") return false
  return true
}

// `Error` is frozen in hardened realms; other engines have no `captureStackTrace`.
const limitIsWritable =
  typeof Error.captureStackTrace === "function" &&
  (Object.getOwnPropertyDescriptor(Error, "stackTraceLimit")?.writable ?? Object.isExtensible(Error))
