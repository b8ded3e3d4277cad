/** The small parts under the wires. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Metadata from "@effect-kratos/core/Metadata"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as DeadlineTimers from "../src/DeadlineTimers.ts"
import * as GrpcMessage from "../src/grpc/Message.ts"
import * as GrpcStatus from "../src/grpc/Status.ts"
import * as Timeout from "../src/grpc/Timeout.ts"
import * as HeaderFields from "../src/HeaderFields.ts"
import { MessageQueue } from "../src/MessageQueue.ts"
import * as Target from "../src/Target.ts"

describe("Target", () => {
  const direct = (...addresses: ReadonlyArray<readonly [string, number]>) => ({
    _tag: "Direct",
    addresses: addresses.map(([host, port]) => ({ host, port }))
  })
  const rows: ReadonlyArray<readonly [string, object]> = [
    ["localhost:9000", direct(["localhost", 9000])],
    ["10.0.0.1:1", direct(["10.0.0.1", 1])],
    ["[::1]:65535", direct(["::1", 65_535])],
    ["a:1,b:2", direct(["a", 1], ["b", 2])],
    ["direct:///a:1, b:2", direct(["a", 1], ["b", 2])],
    ["DIRECT:///a:1", direct(["a", 1])],
    ["discovery:///user", { _tag: "Discovery", name: "user" }],
    ["discovery://registry/user", { _tag: "Discovery", name: "user" }],
    ["discovery:///user%20service", { _tag: "Discovery", name: "user service" }],
    ["discovery:///%zz", { _tag: "Discovery", name: "%zz" }],
    ["discovery:///group/user", { _tag: "Discovery", name: "group/user" }]
  ]
  for (const [text, expected] of rows) it(text, () => assert.deepInclude(Target.parse(text), expected))

  for (const text of [
    "",
    "a",
    "a:",
    "a:0",
    "a:65536",
    "a:123456",
    ":1",
    "a:1,",
    "::1:80",
    "direct://a:1",
    "direct:///",
    "discovery:///",
    "discovery://user",
    "ftp://a:1",
    "a b:1"
  ]) {
    it(`${JSON.stringify(text)} is none, and says so`, () => {
      const target = Target.parse(text)
      assert.strictEqual(target._tag, "Invalid")
      if (target._tag === "Invalid") assert.include(target.message, JSON.stringify(text))
    })
  }
})

describe("grpc-timeout", () => {
  for (const [text, millis] of [
    ["1H", 3_600_000],
    ["2M", 120_000],
    ["3S", 3000],
    ["4m", 4],
    ["5u", 0.005],
    ["6n", 0.000006],
    ["0S", 0],
    ["99999999H", 359_999_996_400_000],
    ["00000001S", 1000]
  ] as const) {
    it(`${text} is ${millis} ms`, () => assert.closeTo(Timeout.parse(text)!, millis, 1e-9))
  }
  for (const text of ["", "1", "S", "1s", "-1S", "+1S", "1.0S", " 1S", "1 S", "100000000S", "1SS", "١S", "0x1S"]) {
    it(`${JSON.stringify(text)} is none`, () => assert.isUndefined(Timeout.parse(text)))
  }
  it("a formatted value is well-formed, never shorter than asked, and longer by no more than its unit", () => {
    const grown = Array.from({ length: 130 }, (_, i) => 0.001 * 1.37 ** i)
    for (const millis of [...grown, 99_999_999, 99_999_999.5, Infinity]) {
      const text = Timeout.format(millis)
      assert.match(text, /^\d{1,8}[HMSmun]$/)
      const back = Timeout.parse(text)!
      if (millis < 99_999_999 * 3_600_000) assert.isAtLeast(back, millis)
      assert.isAtMost(back, millis + (millis < 1e8 ? 1000 : millis < 1e11 ? 60_000 : 3_600_000))
    }
    for (const millis of [0, -1, Number.NEGATIVE_INFINITY, Number.NaN]) assert.isBelow(Timeout.parse(Timeout.format(millis))!, 1)
  })
})

describe("grpc-message", () => {
  const rows = ["", "plain", "100 %", "später", "日本 🙂", "a\r\nb\0c", "%41", "\u{10ffff}", "~ !\"'"]
  for (const text of rows) {
    it(`${JSON.stringify(text)} goes through`, () => {
      const encoded = GrpcStatus.encodeMessage(text)
      assert.match(encoded, /^[ -~]*$/)
      assert.strictEqual(GrpcStatus.decodeMessage(encoded), text)
    })
  }
  it("what is badly encoded stays as it is", () => {
    for (const text of ["%", "%4", "%zz", "100%", "%%41"]) assert.include([text, "%A"], GrpcStatus.decodeMessage(text))
  })
})

describe("gRPC status", () => {
  const through = (error: KratosError.KratosError) => {
    const back = GrpcStatus.fromMetadata(HeaderFields.toTrailers(GrpcStatus.toFields(error).flat()))
    assert.isDefined(back)
    return back!
  }
  it("reason, message and metadata survive, and so does a code that gRPC knows", () => {
    for (const code of [400, 401, 403, 404, 409, 412, 429, 499, 500, 501, 503, 504]) {
      const error = KratosError.make(code, "WHY", "because ü", { metadata: { a: "1", "b c": "ü" } })
      assert.deepStrictEqual(through(error).toJSON(), error.toJSON())
    }
  })
  it("a failure never leaves as OK", () => assert.notStrictEqual(through(KratosError.make(200, "", "")).grpc, 0))
  it("a very long message is cut", () => assert.isAtMost(through(KratosError.notFound("", "x".repeat(100_000))).message.length, 4096))
  it("OK is no error, whatever else the trailers say", () =>
    assert.isUndefined(GrpcStatus.fromMetadata(Metadata.fromRecord({ "grpc-status": "0", "grpc-message": "no" }))))
})

describe("messages of gRPC", () => {
  const messages = [0, 1, 5, 300, 70_000].map((length, i) => new Uint8Array(length).fill(i + 1))
  const bytes = Buffer.concat(messages.map((message) => GrpcMessage.frame(message, undefined)))

  it("come out whole, however they are cut", () => {
    for (const size of [1, 2, 3, 4, 5, 6, 7, 11, 64, 1000, 16_384, bytes.length]) {
      const reader = new GrpcMessage.Reader(100_000, undefined)
      const seen: Array<Uint8Array> = []
      for (let i = 0; i < bytes.length; i += size) {
        assert.isUndefined(reader.push(bytes.subarray(i, i + size), (message) => seen.push(message.slice())))
      }
      assert.isTrue(reader.idle)
      assert.deepStrictEqual(
        seen.map(({ length }) => length),
        messages.map(({ length }) => length),
        `pieces of ${size}`
      )
      assert.isTrue(seen.every((message, i) => message.every((byte) => byte === i + 1)))
    }
  })

  for (const encoding of ["gzip", "deflate"] as const) {
    it(`${encoding} goes through and is held to the limit`, () => {
      const framed = GrpcMessage.frame(new Uint8Array(10_000), encoding)
      assert.isBelow(framed.length, 200)
      const read = (limit: number) => {
        let length = -1
        const error = new GrpcMessage.Reader(limit, encoding).push(framed, (message) => (length = message.length))
        return error ?? length
      }
      assert.strictEqual(read(10_000), 10_000)
      assert.strictEqual(KratosError.code(read(9999)), 429)
    })
  }

  it("a promise of much costs no memory before it is kept", () => {
    const readers = Array.from({ length: 1000 }, () => new GrpcMessage.Reader(0xffff_ffff, undefined))
    const before = process.memoryUsage().arrayBuffers
    for (const reader of readers) reader.push(Uint8Array.of(0, 0x10, 0, 0, 0, 1, 2, 3), () => {})
    assert.isBelow(process.memoryUsage().arrayBuffers - before, 1 << 20)
  })
})

describe("HeaderFields", () => {
  it("metadata goes through, several values and all", () => {
    const metadata = Metadata.fromRecord({ one: "1", many: ["a", "b, c", ""], "x-bin": ["AAE", "Ag"] })
    const fields = HeaderFields.fromMetadata(metadata)
    assert.isArray(fields)
    if (Array.isArray(fields)) assert.deepStrictEqual([...HeaderFields.toMetadata(fields.flat())], [...metadata])
  })
  it("names of the wire are left out in both directions", () => {
    const names = [
      "connection",
      "content-length",
      "content-type",
      "keep-alive",
      "te",
      "trailer",
      "transfer-encoding",
      "upgrade",
      "grpc-status",
      "grpc-anything",
      ":path"
    ]
    assert.deepStrictEqual(HeaderFields.fromMetadata(new Map(names.map((name) => [name, ["1"]]))), [])
    assert.strictEqual(HeaderFields.toMetadata(names.flatMap((name) => [name, "1"])).size, 0)
  })
  it("names and values that HTTP cannot carry are an error that names the key", () => {
    for (const [name, value] of [
      ["a b", "1"],
      ["A", "1"],
      ["é", "1"],
      ["", "1"],
      ["a:", "1"],
      ["k", "\n"],
      ["k", "\0"],
      ["k", "é"],
      ["k", "\x7f"]
    ] as const) {
      const result = HeaderFields.fromMetadata(new Map([[name, [value]]]))
      assert.instanceOf(result, KratosError.KratosError)
      if (result instanceof KratosError.KratosError) assert.include(result.message, name)
    }
  })
})

describe("MessageQueue", () => {
  const make = () => {
    const queue = new MessageQueue<number, string>()
    const acknowledged: Array<number> = []
    queue.attach((bytes) => acknowledged.push(bytes))
    return { queue, acknowledged }
  }
  it.effect("hands out in order what was pushed, before the end or the failure", () =>
    Effect.gen(function* () {
      const { queue } = make()
      for (const n of [1, 2, 3]) queue.push(n)
      queue.received(30)
      queue.end(Exit.fail("broken"))
      queue.push(4)
      const seen: Array<number> = []
      const exit = yield* Effect.exit(Stream.runForEach(queue.stream, (n) => Effect.sync(() => seen.push(n))))
      assert.deepStrictEqual(seen, [1, 2, 3])
      assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) === "broken")
    })
  )
  it.effect("wakes a reader that waits", () =>
    Effect.gen(function* () {
      const { queue } = make()
      const fiber = yield* Effect.forkChild(Stream.runCollect(queue.stream), { startImmediately: true })
      queue.push(1)
      queue.received(10)
      queue.push(2)
      queue.received(10)
      queue.end(Exit.void)
      assert.deepStrictEqual(yield* Fiber.join(fiber), [1, 2])
    })
  )
  it.effect("acknowledges bytes when their messages are taken, not before", () =>
    Effect.gen(function* () {
      const { acknowledged, queue } = make()
      queue.push(1)
      queue.received(10)
      queue.push(2)
      queue.received(20)
      assert.deepStrictEqual(acknowledged, [])
      yield* Stream.runHead(queue.stream)
      assert.deepStrictEqual(acknowledged, [30])
      queue.received(5) // a part of a message: nobody could take it
      assert.deepStrictEqual(acknowledged, [30, 5])
    })
  )
  it.effect("that is closed acknowledges and drops what still comes", () =>
    Effect.gen(function* () {
      const { acknowledged, queue } = make()
      queue.push(1)
      queue.received(10)
      queue.close()
      queue.push(2)
      queue.received(20)
      assert.deepStrictEqual(acknowledged, [10, 20])
      queue.end(Exit.void)
      assert.deepStrictEqual(yield* Stream.runCollect(queue.stream), [])
    })
  )
})

describe("DeadlineTimers", () => {
  it.effect("expire at their time, at most ten milliseconds late, each once", () =>
    Effect.gen(function* () {
      const timers = yield* DeadlineTimers.make
      const late = new Map<number, number>()
      for (const deadline of [1, 9, 10, 11, 500, 1234])
        timers.add(deadline, () => late.set(deadline, timers.now() - deadline + (late.has(deadline) ? 1000 : 0)))
      for (let i = 0; i < 2000; i++) yield* TestClock.adjust(1)
      assert.lengthOf([...late], 6)
      // what is near is not late at all
      for (const [deadline, by] of late) assert.isTrue(by >= 0 && by <= (deadline < 1000 ? 0 : 10), `${deadline} late by ${by}`)
    })
  )
  it.effect("do not expire when removed, or when their scope has closed", () =>
    Effect.gen(function* () {
      let expired = 0
      const scope = yield* Scope.make()
      const timers = yield* Scope.provide(DeadlineTimers.make, scope)
      timers.remove(timers.add(100, () => expired++))
      timers.remove(timers.add(10_000_000, () => expired++))
      timers.add(200, () => expired++)
      yield* TestClock.adjust(150)
      assert.strictEqual(expired, 0)
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(100_000_000)
      assert.strictEqual(expired, 0)
    })
  )
  it.effect("neighbours live on when one is removed, also from within a callback", () =>
    Effect.gen(function* () {
      const timers = yield* DeadlineTimers.make
      const expired: Array<string> = []
      const b = { timer: undefined as DeadlineTimers.Timer | undefined }
      timers.add(100, () => {
        expired.push("a")
        timers.remove(b.timer!)
        timers.add(100, () => expired.push("again"))
      })
      b.timer = timers.add(100, () => expired.push("b"))
      timers.add(100, () => expired.push("c"))
      yield* TestClock.adjust(100)
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(expired, ["a", "c", "again"])
    })
  )
  it.effect("deadlines that are far beyond the timers of the platform hold, and passed ones expire at once", () =>
    Effect.gen(function* () {
      const timers = yield* DeadlineTimers.make
      let expired = 0
      const month = 40 * 86_400_000
      timers.add(month, () => expired++)
      timers.add(-1000, () => (expired += 10))
      yield* TestClock.adjust(1)
      assert.strictEqual(expired, 10)
      yield* TestClock.adjust(month - 10)
      assert.strictEqual(expired, 10)
      yield* TestClock.adjust(20)
      assert.strictEqual(expired, 11)
    })
  )
})
