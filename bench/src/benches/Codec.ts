/** The codecs alone: one message of about 400 bytes, nested, written and read again, in a process of its own without a wire. */
import * as Effect from "effect/Effect"
import type { Bench, Turn } from "../Bench.ts"
import { failed } from "../BenchError.ts"
import * as Child from "../Child.ts"
import { Order } from "../gen/ts-proto/bench/v1/load.ts"
import { order } from "../order.ts"
import * as Subject from "../Subject.ts"
import type { Machine } from "./Machine.ts"
import * as Served from "./Served.ts"

const subjects: ReadonlyArray<Subject.Subject> = [
  Subject.node("protobuf-es", "codec-protobuf-es"),
  Subject.node("ts-proto", "codec-ts-proto"),
  Subject.node("protobufjs", "codec-protobufjs"),
  Subject.node("effect-kratos", "codec-effect-kratos")
]

/** A subject says what it makes of the message at first, and again when asked: the same bytes from all of them. */
const check = (said: unknown) => {
  const expected = Buffer.from(Order.encode(order).finish()).toString("base64")
  const bytes: unknown = typeof said === "object" && said !== null ? Reflect.get(said, "bytes") : undefined
  return bytes === expected ? Effect.void : Effect.fail(failed(`wrote other bytes: ${JSON.stringify(said)}`))
}

export const codec = ({ cores }: Machine): Effect.Effect<Bench> =>
  Effect.succeed({
    name: "codec",
    subjects,
    loads: [`${Order.encode(order).finish().length} bytes`],
    warm: true,
    open: (subject) =>
      Child.start([...cores.server, ...subject.command]).pipe(
        Effect.map((started): Turn => ({
          measure: (_, seconds) =>
            started.ask(JSON.stringify({ seconds }), seconds + 15).pipe(
              Effect.map((report) => {
                const trips = Child.number(report, "trips") ?? 0
                const elapsed = Child.number(report, "seconds") ?? Number.NaN
                return Served.figures("round trips", trips / elapsed, trips, Child.number(report, "cpuSeconds"))
              })
            ),
          check: Effect.flatMap(started.ask(JSON.stringify({ seconds: 0 }), 15), check)
        }))
      )
  })
