/** Streams of 1 KiB messages in both directions, and unary calls of 1 MiB. */
import * as Effect from "effect/Effect"
import type { Bench } from "../Bench.ts"
import type { BenchError } from "../BenchError.ts"
import * as Check from "../Check.ts"
import * as Load from "../Load.ts"
import * as Shape from "../Shape.ts"
import * as Subject from "../Subject.ts"
import * as Machine from "./Machine.ts"
import * as Served from "./Served.ts"
import { headers } from "./Unary.ts"

const subjects = ({ go }: Machine.Machine): ReadonlyArray<Subject.Subject> => [
  Subject.node("http2", "streams-http2"),
  Subject.node("grpc-js", "streams-grpc-js"),
  Subject.node("nice-grpc", "streams-nice-grpc"),
  Subject.node("connect-node", "streams-connect-node"),
  Subject.go("grpc-go", go, "grpc-go"),
  Subject.go("kratos", go, "kratos"),
  Subject.node("effect-kratos", "streams-effect-kratos")
]

interface Options {
  readonly name: string
  readonly subjects: ReadonlyArray<Subject.Subject>
  readonly method: string
  readonly body: Uint8Array
  readonly what: string
  readonly amount?: Served.Options["amount"]
}

const make = Effect.fnUntraced(function* (machine: Machine.Machine, options: Options): Effect.fn.Return<Bench, BenchError> {
  const body = Machine.write(machine, `${options.name}.bin`, options.body)
  const load = Load.h2load(yield* Machine.program("h2load"), machine.cores.load, { body, headers })
  return Served.make(machine, {
    name: options.name,
    subjects: options.subjects,
    loads: Shape.names(machine.args.shapes, ["4x1"]),
    what: options.what,
    check: Check.load,
    load: (port, shape, seconds) => load.run(`http://127.0.0.1:${port}/bench.v1.Load/${options.method}`, Shape.parse(shape)!, seconds),
    amount: options.amount
  })
})

const chunk = Check.chunkFrame(Check.CHUNK)
const chunks = Buffer.concat(Array.from({ length: Check.CHUNKS }, () => chunk))

/** The server streams: messages are counted by the bytes that came, so that a stream cut off at the end of a run counts as far as it got. */
export const download = (machine: Machine.Machine) =>
  make(machine, {
    name: "download",
    subjects: subjects(machine).flatMap((subject) =>
      subject.name === "http2" ? [subject, Subject.node("http2-batched", "streams-http2-batched")] : [subject]
    ),
    method: "Download",
    body: Check.downloadFrame(),
    what: "messages",
    amount: ({ bytes }) => bytes / chunk.length
  })

/** The client streams. */
export const upload = (machine: Machine.Machine) =>
  make(machine, {
    name: "upload",
    subjects: subjects(machine),
    method: "Upload",
    body: chunks,
    what: "messages",
    amount: ({ done }) => done * Check.CHUNKS
  })

/** Both stream: each message comes back. Counted by the bytes that came back. */
export const chat = (machine: Machine.Machine) =>
  make(machine, {
    name: "chat",
    subjects: subjects(machine),
    method: "Chat",
    body: chunks,
    what: "messages",
    amount: ({ bytes }) => bytes / chunk.length
  })

/** 1 MiB there and back. */
export const echo = (machine: Machine.Machine) =>
  make(machine, { name: "echo", subjects: subjects(machine), method: "Echo", body: Check.chunkFrame(Check.LARGE), what: "calls" })
