/**
 * Takes a server of test.v1.Echo through the cases with grpc-js: client.ts HOST:PORT [CASE ...].
 * It prints "ok NAME" or "FAIL NAME why" for each and ends with 1 when one failed.
 */
import * as grpc from "@grpc/grpc-js"
import * as assert from "node:assert/strict"
import { setTimeout as sleep } from "node:timers/promises"
import type { Case } from "../../src/cases.ts"
import * as contract from "./contract.ts"
import { compressedReply } from "./compressed-reply.ts"

type Request = contract.Request
type Reply = contract.Reply
interface Stub extends grpc.Client {
  Unary(request: Request, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<Reply>): grpc.ClientUnaryCall
  ServerStream(request: Request, options?: grpc.CallOptions): grpc.ClientReadableStream<Reply>
  ClientStream(callback: grpc.requestCallback<Reply>): grpc.ClientWritableStream<Request>
  Bidi(options?: grpc.CallOptions): grpc.ClientDuplexStream<Request, Reply>
}
interface HealthStub extends grpc.Client {
  Check(request: { service: string }, callback: grpc.requestCallback<{ status: string }>): grpc.ClientUnaryCall
}

const [target, ...only] = process.argv.slice(2)
if (target === undefined) throw new Error("usage: client.ts HOST:PORT [CASE ...]")

// the stubs' methods come from the loaded contract; the interfaces above say which
const stub = <T>(definition: grpc.ServiceDefinition, options: grpc.ClientOptions = {}): T =>
  new (grpc.makeClientConstructor(definition, ""))(target, grpc.credentials.createInsecure(), options) as T

const echo = stub<Stub>(contract.Echo)
const none = () => new grpc.Metadata()

const unary = (
  request: Request,
  { client = echo, metadata = none(), options = {} }: Partial<{ client: Stub; metadata: grpc.Metadata; options: grpc.CallOptions }> = {}
) =>
  new Promise<Reply>((resolve, reject) => {
    client.Unary(request, metadata, options, (error, reply) => (error === null && reply !== undefined ? resolve(reply) : reject(error)))
  })

const failure = async (promise: Promise<unknown>): Promise<grpc.ServiceError> => {
  try {
    await promise
  } catch (error) {
    return error as grpc.ServiceError // grpc-js rejects with nothing else
  }
  throw new Error("the call succeeded")
}

const same = (reply: Reply | undefined, text: string, payload: Uint8Array = Buffer.alloc(0), index = 0) => {
  assert.equal(reply?.text, text)
  assert.equal(reply?.index, index)
  assert.ok(
    Buffer.compare(Buffer.from(reply?.payload ?? []), payload) === 0,
    `expected ${payload.length} bytes of payload, got ${reply?.payload.length}`
  )
}

const hasCode = (error: grpc.ServiceError, code: grpc.status) =>
  assert.equal(error.code, code, `expected code ${code}, got ${error.code}: ${error.details}`)

/** Expects code, message and details of a reason. */
const isReason = (error: grpc.ServiceError, code: grpc.status, reason: string, text: string) => {
  hasCode(error, code)
  assert.equal(error.details, `${reason}: ${text}`)
  const [encoded] = error.metadata.get("grpc-status-details-bin")
  assert.ok(encoded instanceof Buffer, "no grpc-status-details-bin")
  const status = contract.StatusCodec.decode(encoded)
  assert.equal(status.code, code)
  const detail = status.details.find(({ type_url }) => type_url === contract.detailType)
  assert.ok(detail !== undefined, "no ErrorInfo")
  const info = contract.ErrorInfoCodec.decode(detail.value)
  assert.equal(info.reason, reason)
  assert.equal(info.metadata["text"], text)
}

/** Waits until the server says that its handler of the call with this text was interrupted. */
const interrupted = async (text: string) => {
  for (let i = 0; i < 100; i++) {
    if ((await unary({ text: contract.askInterrupted + text })).index > 0) return
    await sleep(50)
  }
  throw new Error("the handler was not interrupted within 5 s")
}

const collect = async (stream: AsyncIterable<Reply>) => {
  const replies: Array<Reply> = []
  for await (const reply of stream) replies.push(reply)
  return replies
}

const expectAll = async (stream: AsyncIterable<Reply>, text: string, count: number, payload?: Uint8Array) => {
  const replies = await collect(stream)
  assert.equal(replies.length, count)
  for (const [index, reply] of replies.entries()) same(reply, text, payload, index)
}

const clientStream = (requests: ReadonlyArray<Request>) =>
  new Promise<Reply>((resolve, reject) => {
    const call = echo.ClientStream((error, reply) => (error === null && reply !== undefined ? resolve(reply) : reject(error)))
    for (const request of requests) call.write(request)
    call.end()
  })

const unique = (name: string) => `grpc-js-${name}-${process.pid}-${process.hrtime.bigint()}`

const pattern = (size: number) => Buffer.from(Uint8Array.from({ length: size }, (_, i) => i * 31))

/** Leaves a stream that would go on for a minute after its second reply. */
const cancelAfterTwo = async (call: grpc.ClientReadableStream<Reply> | grpc.ClientDuplexStream<Request, Reply>, text: string) => {
  const seen: Array<Reply> = []
  const error = await failure(
    (async () => {
      for await (const reply of call as AsyncIterable<Reply>) {
        seen.push(reply)
        if (seen.length === 2) call.cancel()
      }
    })()
  )
  hasCode(error, grpc.status.CANCELLED)
  assert.ok(seen.length >= 2)
  await interrupted(text)
}

const run: Record<Case, () => Promise<void>> = {
  unary: async () => same(await unary({ text: "hällo", payload: pattern(300) }), "hällo", pattern(300)),
  "unary-empty": async () => same(await unary({}), ""),
  "unary-concurrent": async () => {
    const texts = Array.from({ length: 100 }, (_, i) => `call ${i}`)
    const replies = await Promise.all(texts.map((text, i) => unary({ text, delay_ms: i % 3 })))
    for (const [i, reply] of replies.entries()) same(reply, texts[i]!)
  },
  "server-stream": () => expectAll(echo.ServerStream({ text: "s", count: 5 }), "s", 5),
  "server-stream-large": () =>
    expectAll(echo.ServerStream({ text: "big", count: 64, payload: pattern(65_536) }), "big", 64, pattern(65_536)),
  "client-stream": async () =>
    same(
      await clientStream([{ text: "a", payload: Buffer.from([1]) }, { text: "b" }, { text: "c", payload: Buffer.from([2, 3]) }]),
      "a,b,c",
      Buffer.from([1, 2, 3]),
      3
    ),
  "client-stream-empty": async () => same(await clientStream([]), ""),
  bidi: async () => {
    const call = echo.Bidi()
    for (const count of [2, 2, 0]) call.write({ text: "b", count })
    call.end()
    await expectAll(call, "b", 5)
  },
  "bidi-ping-pong": async () => {
    const call = echo.Bidi()
    const replies = (call as AsyncIterable<Reply>)[Symbol.asyncIterator]()
    for (let i = 0; i < 10; i++) {
      call.write({ text: `ping ${i}` })
      same((await replies.next()).value as Reply, `ping ${i}`, undefined, i)
    }
    call.end()
    assert.equal((await replies.next()).done, true)
  },
  error: async () =>
    isReason(await failure(unary({ text: "x", fail_reason: "THING_NOT_FOUND" })), grpc.status.NOT_FOUND, "THING_NOT_FOUND", "x"),
  "error-unmapped": async () => isReason(await failure(unary({ text: "x", fail_reason: "TEAPOT" })), grpc.status.UNKNOWN, "TEAPOT", "x"),
  "error-text": async () => {
    const text = "böse 100% \r\n\t✓"
    isReason(await failure(unary({ text, fail_reason: "THING_NOT_FOUND" })), grpc.status.NOT_FOUND, "THING_NOT_FOUND", text)
  },
  "error-stream": async () => {
    const replies: Array<Reply> = []
    const call = echo.ServerStream({ text: "e", count: 2, fail_reason: "QUOTA_EXHAUSTED" })
    const error = await new Promise<grpc.ServiceError>((resolve, reject) => {
      call.on("data", (reply: Reply) => replies.push(reply))
      call.on("error", (cause) => resolve(cause as grpc.ServiceError))
      call.on("end", () => setTimeout(() => reject(new Error("the stream did not fail")), 1000).unref())
    })
    assert.equal(replies.length, 2)
    isReason(error, grpc.status.RESOURCE_EXHAUSTED, "QUOTA_EXHAUSTED", "e")
  },
  deadline: async () => {
    const text = unique("deadline")
    hasCode(await failure(unary({ text, delay_ms: 60_000 }, { options: { deadline: Date.now() + 200 } })), grpc.status.DEADLINE_EXCEEDED)
    await interrupted(text)
  },
  cancel: async () => {
    const text = unique("cancel")
    const error = await new Promise<grpc.ServiceError | null>((resolve) => {
      const call = echo.Unary({ text, delay_ms: 60_000 }, none(), {}, resolve)
      setTimeout(() => call.cancel(), 200)
    })
    assert.ok(error !== null)
    hasCode(error, grpc.status.CANCELLED)
    await interrupted(text)
  },
  "cancel-stream": () => {
    const text = unique("cancel-stream")
    return cancelAfterTwo(echo.ServerStream({ text, count: 3000, delay_ms: 20 }), text)
  },
  "cancel-bidi": () => {
    const text = unique("cancel-bidi")
    const call = echo.Bidi()
    call.write({ text, count: 3000, delay_ms: 20 })
    return cancelAfterTwo(call, text)
  },
  metadata: async () => {
    const raw = pattern(256)
    const metadata = none()
    metadata.add("x-one", "a b")
    metadata.add("x-many", "1")
    metadata.add("x-many", "2")
    metadata.add("x-raw-bin", raw)
    const all: { reply?: Reply; header?: grpc.Metadata; trailer?: grpc.Metadata } = {}
    await new Promise<void>((resolve, reject) => {
      const call = echo.Unary({ echo_metadata: ["x-one", "x-many", "x-raw-bin", "x-none"] }, metadata, {}, (error, reply) => {
        if (error !== null || reply === undefined) return reject(error)
        all.reply = reply
      })
      call.on("metadata", (header) => (all.header = header))
      call.on("status", ({ metadata: trailer }) => {
        all.trailer = trailer
        setImmediate(resolve)
      })
    })
    // HTTP lets a peer join the lines of a header, with or without a space
    const joined = (text: string | undefined) => text?.replaceAll(", ", ",")
    const seen = all.reply?.metadata ?? {}
    assert.deepEqual(
      { ...seen, "x-many": joined(seen["x-many"]) },
      { "x-one": "a b", "x-many": "1,2", "x-raw-bin": raw.toString("base64").replaceAll("=", "") }
    )
    for (const [place, returned] of [
      ["echo-", all.header],
      ["trailer-", all.trailer]
    ] as const) {
      assert.deepEqual(returned?.get(`${place}x-one`), ["a b"])
      assert.equal(joined(returned?.get(`${place}x-many`).join(",")), "1,2")
      assert.deepEqual(returned?.get(`${place}x-raw-bin`), [raw])
    }
  },
  gzip: async () => {
    const client = stub<Stub>(contract.Echo, { "grpc.default_compression_algorithm": 2, "grpc.use_local_subchannel_pool": 1 })
    const payload = Buffer.from("compressible ".repeat(10_000))
    same(await unary({ text: "z", payload }, { client }), "z", payload)
    client.close()
  },
  "gzip-reply": () => compressedReply(target),
  large: async () => same(await unary({ text: "1 MiB", payload: pattern(1 << 20) }), "1 MiB", pattern(1 << 20)),
  oversize: async () => {
    hasCode(await failure(unary({ payload: pattern(5 << 20) })), grpc.status.RESOURCE_EXHAUSTED)
    same(await unary({ text: "still there" }), "still there")
  },
  "unknown-method": async () => hasCode(await failure(raw("/test.v1.Echo/Nope")), grpc.status.UNIMPLEMENTED),
  "unknown-service": async () => hasCode(await failure(raw("/test.v1.Nope/Unary")), grpc.status.UNIMPLEMENTED),
  health: async () => {
    const health = stub<HealthStub>(contract.Health)
    const check = (service: string) =>
      new Promise<string | undefined>((resolve, reject) => {
        health.Check({ service }, (error, reply) => (error === null ? resolve(reply?.status) : reject(error)))
      })
    assert.equal(await check(""), "SERVING")
    assert.equal(await check("test.v1.Echo"), "SERVING")
    hasCode(await failure(check("test.v1.Nope")), grpc.status.NOT_FOUND)
    health.close()
  }
}

const raw = (path: string) =>
  new Promise((resolve, reject) => {
    const identity = (bytes: Buffer) => bytes
    echo.makeUnaryRequest(path, identity, identity, Buffer.alloc(0), (error, reply) => (error === null ? resolve(reply) : reject(error)))
  })

const limited = (work: Promise<void>) => {
  const timer = new AbortController()
  const late = sleep(20_000, undefined, { signal: timer.signal, ref: false }).then(() => {
    throw new Error("no end within 20 s")
  })
  return Promise.race([work, late]).finally(() => {
    late.catch(() => undefined)
    timer.abort()
  })
}

for (const [name, check] of Object.entries(run)) {
  if (only.length > 0 && !only.includes(name)) continue
  try {
    await limited(check())
    process.stdout.write(`ok ${name}\n`)
  } catch (error) {
    process.exitCode = 1
    const why = error instanceof Error ? error.message : String(error)
    process.stdout.write(`FAIL ${name} ${why.replaceAll("\n", "; ").slice(0, 300)}\n`)
  }
}
echo.close()
