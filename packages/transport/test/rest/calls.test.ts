import { describe } from "@effect/vitest"
import { memory, sockets } from "../Harness.ts"
import { aspects } from "../laws/Aspects.ts"
import { cancellation } from "../laws/Cancellation.ts"
import { deadlines } from "../laws/Deadlines.ts"
import { kinds } from "../laws/Kinds.ts"
import { rest } from "./EchoRest.ts"

for (const wire of [rest(memory, "v3"), rest(sockets, "v2"), rest(sockets, "binary")]) {
  describe(`calls over ${wire.name}`, () => {
    kinds(wire)
    deadlines(wire)
    aspects(wire)
    cancellation(wire)
  })
}
