/** The laws of calls, whatever joins client and server. */
import { describe } from "@effect/vitest"
import type { Wire } from "./Harness.ts"
import { aspects } from "./laws/Aspects.ts"
import { backPressure, cancellation } from "./laws/Cancellation.ts"
import { deadlines } from "./laws/Deadlines.ts"
import { kinds } from "./laws/Kinds.ts"
import { metadata } from "./laws/Metadata.ts"

export const suite = (wire: Wire): void => {
  describe(`calls over ${wire.name}`, () => {
    kinds(wire)
    metadata(wire)
    deadlines(wire)
    cancellation(wire)
    backPressure(wire)
    aspects(wire)
  })
}
