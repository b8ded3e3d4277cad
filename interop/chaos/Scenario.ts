/** A scenario: what it does to a fleet, for how long, and what must hold then. */
import type * as Verdict from "@effect-kratos/testing/Verdict"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface Scenario {
  readonly name: string
  readonly about: string
  /** How long it goes on: in full, and in its short form for CI. */
  readonly seconds: { readonly full: number; readonly short: number }
  readonly run: (seconds: number) => Effect.Effect<Verdict.Verdict, unknown, Scope.Scope>
}
