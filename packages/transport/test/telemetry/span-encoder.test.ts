/** Our form of spans is Effect's, byte for byte. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as HttpBody from "effect/http/HttpBody"
import * as OtlpResource from "effect/observability/OtlpResource"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import type { TraceData } from "effect/observability/OtlpTracer"
import * as SpanEncoder from "../../src/telemetry/SpanEncoder.ts"

const attributes = (values: Record<string, unknown>) => OtlpResource.entriesToAttributes(Object.entries(values))
const odd = {
  text: "a",
  empty: "",
  ключ: "ä€😀".repeat(100),
  long: "x".repeat(70_000),
  no: false,
  yes: true,
  zero: 0,
  port: 65_535,
  negative: -1,
  least: -(2n ** 63n),
  most: 2n ** 63n - 1n,
  half: 0.5,
  nan: Number.NaN,
  list: ["a", 1, [true]],
  object: { a: 1 },
  nothing: null
}

const span = (n: number, more: object = {}) => ({
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: n.toString(16).padStart(16, "0"),
  parentSpanId: undefined,
  name: `a.B/C${n}`,
  kind: 2,
  startTimeUnixNano: "1700000000000000001",
  endTimeUnixNano: "18446744073709551615",
  attributes: attributes({ "rpc.method": "a.B/C", "server.port": 80 }),
  droppedAttributesCount: 0,
  events: [],
  droppedEventsCount: 0,
  status: { code: 1 as const },
  links: [],
  droppedLinksCount: 0,
  ...more
})

const data: TraceData = {
  resourceSpans: [
    {
      resource: { attributes: attributes(odd), droppedAttributesCount: 3 },
      schemaUrl: "https://schema",
      scopeSpans: [
        { scope: { name: "effect", version: "4" }, spans: Array.from({ length: 300 }, (_, i) => span(i)) },
        {
          scope: { name: "" },
          schemaUrl: "s",
          spans: [
            span(1, {
              parentSpanId: "b7ad6b7169203331",
              attributes: attributes(odd),
              droppedAttributesCount: 200,
              events: [
                { name: "exception", timeUnixNano: "1", attributes: attributes({ "exception.message": "m" }), droppedAttributesCount: 1 }
              ],
              droppedEventsCount: 1,
              links: [{ traceId: "f".repeat(32), spanId: "e".repeat(16), attributes: attributes({ a: 1 }), droppedAttributesCount: 2 }],
              droppedLinksCount: 70_000,
              status: { code: 2, message: "why" }
            })
          ]
        }
      ]
    },
    { resource: { attributes: [], droppedAttributesCount: 0 }, scopeSpans: [] }
  ]
}

it.effect("writes what Effect's serialization writes, again and again", () =>
  Effect.gen(function* () {
    const theirs = (yield* OtlpSerialization.OtlpSerialization).traces(data) as HttpBody.Uint8Array // by its layer
    const encode = SpanEncoder.make()
    const first = encode(data)
    assert.isAbove(first.length, 150_000)
    assert.isTrue(Buffer.from(first).equals(theirs.body))
    // the result is the caller's to keep
    encode({ resourceSpans: [] })
    assert.isTrue(Buffer.from(encode(data)).equals(theirs.body) && Buffer.from(first).equals(theirs.body))
  }).pipe(Effect.provide(OtlpSerialization.layerProtobuf))
)
