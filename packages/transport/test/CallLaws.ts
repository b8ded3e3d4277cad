/** The laws of calls, whatever joins client and server. */
import { describe } from "@effect/vitest"
import type { Wire } from "./Harness.ts"
import { kinds } from "./laws/Kinds.ts"
import { metadata } from "./laws/Metadata.ts"

export const suite = (wire: Wire): void => {
  describe(`calls over ${wire.name}`, () => {
    kinds(wire)
    metadata(wire)
  })
}
