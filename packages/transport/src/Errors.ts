/** The errors that a contract declares: reason classes, per service or per method. */
import type { ReasonClass } from "@effect-kratos/core/error/Reason"

/** Reason classes for all methods of a service, or per local method name. */
export type Errors = ReadonlyArray<ReasonClass> | Readonly<Record<string, ReadonlyArray<ReasonClass>>>

/** The reason classes that a method can raise. */
export const errorsOf = (errors: Errors, localName: string): ReadonlyArray<ReasonClass> =>
  // Array.isArray does not narrow a readonly array out of the union
  Array.isArray(errors)
    ? (errors as ReadonlyArray<ReasonClass>)
    : ((errors as Readonly<Record<string, ReadonlyArray<ReasonClass>>>)[localName] ?? [])
