/** The table of docs/faces.md, cell by cell: what each face answers to input that is wrong. */
import { create, toBinary } from "@bufbuild/protobuf"
import { Grpc } from "@effect-kratos/core/error/Status"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import { type Answer, type Ask, ask, connectStream, connectUnary, envelope, type Failure, grpcWeb, versions } from "../connect/Ask.ts"
import { EchoRequestSchema } from "../gen/test/v1/echo_pb.ts"
import { memory, serve, type Serving } from "../Harness.ts"
import { rawClient } from "../Raw.ts"
import { BINARY, rawSocket } from "../rest/RestHarness.ts"
import { EchoFaces, paths } from "./Contract.ts"
import { tableUnder } from "./document.ts"

/** Longest message and body, in bytes. */
const LIMIT = 1000
const message = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: "hi" }))
const noMessage = Uint8Array.of(10, 5, 1)
const noJson = "{"
const tooLong = "x".repeat(LIMIT + 1)

// ---- the faces

interface Face {
  /** The type under which a message is what it is, in binary and in JSON. */
  readonly proto: string
  readonly json: string
  readonly method: string
  readonly path: string
  /** False where a content type that nobody knows is not refused. */
  readonly isTyped?: false
  /** A path that looks like this face's and is none. */
  readonly unknown: string
  readonly frame: (content: Uint8Array | string) => Uint8Array | string
  readonly encoding: string
  readonly timeout: string
  readonly wrongMethod: string
  /** What came back, as the table says it; one text for both versions of HTTP. */
  readonly answers: (server: Serving, request: Ask) => Effect.Effect<ReadonlyArray<string>>
}

const overHttp =
  (read: (answer: Answer) => string): Face["answers"] =>
  (server, request) =>
    Effect.forEach(versions, (version) => Effect.map(ask(server, version, request), read))

const code = ({ code, reason }: Failure): string =>
  [typeof code === "number" ? Object.entries(Grpc).find(([, value]) => value === code)![0] : code, reason].filter(Boolean).join(" ")

/** An error of REST: its body and its status line say the same. */
const kratos = (status: number, body: string): string => {
  const error = JSON.parse(body)
  assert.deepStrictEqual(Object.keys(error), ["code", "reason", "message", "metadata"])
  assert.strictEqual(error.code, status)
  return [status, error.reason].filter(Boolean).join(" ")
}

const grpcAnswers: Face["answers"] = (server, { body = [], fields, method = "POST", path }) =>
  Effect.gen(function* () {
    const { connection, send } = rawClient(yield* server.connect)
    const outcome = yield* send(path, { fields: { ":method": method, ...fields }, body: body.map((part) => Buffer.from(part)) })
    connection.shutdown()
    const answer = { status: outcome.status, fields: { ...outcome.head, ...outcome.trailers }, body: Buffer.alloc(0) }
    return [outcome.status === 200 ? code(grpcWeb(answer)) : String(outcome.status)]
  })

const socketAnswers: Face["answers"] = (server, { body = [], fields = {}, method = "GET", path }) =>
  Effect.gen(function* () {
    if (method !== "GET") return [yield* Effect.map(ask(server, "HTTP/1.1", { method, path, fields }), restAnswer)]
    const socket = rawSocket(yield* server.connect)
    const head = yield* socket.open(path, fields)
    const status = Number(head.split(" ")[1])
    if (status !== 101) {
      yield* socket.until(() => socket.body().endsWith("}"))
      return [kratos(status, socket.body())]
    }
    for (const part of body) yield* socket.send(part, typeof part === "string" ? undefined : BINARY)
    yield* socket.until(() => socket.closed() !== undefined)
    const [text = ""] = socket.texts()
    assert.isTrue(text.startsWith("\u001eerror:"), text)
    const error = text.slice("\u001eerror:".length)
    return [`${kratos(JSON.parse(error).code, error)}, close ${socket.closed()?.code}`]
  })

const restAnswer = ({ body, status }: Answer): string => kratos(status, body.toString())
const httpOr = (read: (answer: Answer) => string) => (answer: Answer) => (answer.status === 200 ? read(answer) : String(answer.status))

const faces: Readonly<Record<string, Face>> = {
  gRPC: {
    proto: "application/grpc",
    json: "application/grpc+json",
    method: "POST",
    path: "/test.v1.Echo/Unary",
    unknown: "/test.v1.Echo/Nothing",
    frame: (content) => envelope(content),
    encoding: "grpc-encoding",
    timeout: "grpc-timeout",
    wrongMethod: "GET",
    answers: grpcAnswers
  },
  "gRPC-Web": {
    proto: "application/grpc-web",
    json: "application/grpc-web+json",
    method: "POST",
    path: "/test.v1.Echo/Unary",
    unknown: "/test.v1.Echo/Nothing",
    frame: (content) => envelope(content),
    encoding: "grpc-encoding",
    timeout: "grpc-timeout",
    wrongMethod: "GET",
    answers: overHttp(httpOr((answer) => code(grpcWeb(answer))))
  },
  "Connect, unary": {
    proto: "application/proto",
    json: "application/json",
    method: "POST",
    path: "/test.v1.Echo/Unary",
    unknown: "/test.v1.Echo/Nothing",
    frame: (content) => content,
    encoding: "content-encoding",
    timeout: "connect-timeout-ms",
    wrongMethod: "GET",
    // a refusal of HTTP has no body of Connect's
    answers: overHttp((answer) =>
      answer.body.length > 0 && answer.fields["content-type"] === "application/json"
        ? `${answer.status} ${code(connectUnary(answer))}`.trim()
        : String(answer.status)
    )
  },
  "Connect, streams": {
    proto: "application/connect+proto",
    json: "application/connect+json",
    method: "POST",
    path: "/test.v1.Echo/ServerStream",
    unknown: "/test.v1.Echo/Nothing",
    frame: (content) => envelope(content),
    encoding: "connect-content-encoding",
    timeout: "connect-timeout-ms",
    wrongMethod: "GET",
    answers: overHttp(httpOr((answer) => code(connectStream(answer))))
  },
  REST: {
    proto: "application/proto",
    json: "application/json",
    method: "POST",
    path: paths.unary,
    unknown: "/faces/nothing",
    frame: (content) => content,
    encoding: "content-encoding",
    timeout: "x-timeout-ms",
    wrongMethod: "DELETE",
    answers: overHttp(restAnswer)
  },
  "REST, events": {
    proto: "",
    json: "",
    method: "GET",
    path: paths.serverStream,
    isTyped: false,
    unknown: "/faces/nothing",
    frame: (content) => content,
    encoding: "",
    timeout: "x-timeout-ms",
    wrongMethod: "POST",
    answers: overHttp(restAnswer)
  },
  "REST, WebSocket": {
    proto: "application/proto",
    json: "application/json",
    method: "GET",
    path: paths.bidi,
    isTyped: false,
    unknown: "/faces/nothing",
    frame: (content) => content,
    encoding: "",
    timeout: "x-timeout-ms",
    wrongMethod: "POST",
    answers: socketAnswers
  }
}

// ---- the wrong inputs

/** Undefined where a face has no such thing. */
type Wrong = (face: Face) => Ask | undefined

const base = ({ frame, method, path, proto }: Face): Ask => ({
  method,
  path,
  ...(proto === "" ? undefined : { fields: { "content-type": proto }, body: [frame(message)] })
})

const withFields = (face: Face, fields: Readonly<Record<string, string>>): Ask => ({
  ...base(face),
  fields: { ...base(face).fields, ...fields }
})

const wrongs: Readonly<Record<string, Wrong>> = {
  "JSON that is none": (face) =>
    face.json === "" ? undefined : { ...withFields(face, { "content-type": face.json }), body: [face.frame(noJson)] },
  "protobuf that is none": (face) => (face.proto === "" ? undefined : { ...base(face), body: [face.frame(noMessage)] }),
  "a field that does not fit": (face) =>
    face.json === ""
      ? { ...base(face), path: `${face.path}?count=many` }
      : { ...withFields(face, { "content-type": face.json }), body: [face.frame('{"count":"many"}')] },
  "another content type": (face) => (face.isTyped === false ? undefined : withFields(face, { "content-type": "text/html" })),
  "an unknown method": (face) => ({ ...withFields(face, unknownFields(face)), path: face.unknown }),
  "a message over the limit": (face) => (face.proto === "" ? undefined : { ...base(face), body: [face.frame(tooLong)] }),
  "an unknown compression": (face) => (face.encoding === "" ? undefined : withFields(face, { [face.encoding]: "snappy" })),
  "a deadline that is none": (face) => withFields(face, { [face.timeout]: "soon" }),
  "another HTTP method": (face) => ({ ...base(face), method: face.wrongMethod })
}

/** Unary Connect has no content type of its own, and says so. */
const unknownFields = ({ timeout }: Face): Record<string, string> =>
  timeout === "connect-timeout-ms" ? { "connect-protocol-version": "1" } : {}

// ---- the table

const { head, rows } = tableUnder("## Wrong input")

describe("wrong input", () => {
  it("has a row for each and a column for each face", () => {
    assert.deepStrictEqual(head.slice(1), Object.keys(faces))
    assert.deepStrictEqual(
      rows.map(([what]) => what),
      Object.keys(wrongs)
    )
  })

  for (const [what = "", ...cells] of rows) {
    for (const [index, name] of head.slice(1).entries()) {
      it.effect(`${what}, ${name}: ${cells[index]}`, () =>
        Effect.gen(function* () {
          const [face, wrong] = [faces[name]!, wrongs[what]!]
          const request = wrong(face)
          if (request === undefined) return assert.strictEqual(cells[index], "")
          const server = yield* serve({ wire: { ...memory, service: EchoFaces }, maxMessageBytes: LIMIT, maxBodyBytes: LIMIT })
          const answers = yield* face.answers(server, request)
          for (const answer of answers) assert.strictEqual(answer, cells[index])
          if (face.path !== paths.bidi) assert.strictEqual(yield* Ref.get(server.journal.done), 0)
        })
      )
    }
  }

  it.effect("a WebSocket whose handshake names an unknown content type speaks JSON", () =>
    Effect.gen(function* () {
      const server = yield* serve({ wire: { ...memory, service: EchoFaces } })
      const socket = rawSocket(yield* server.connect)
      yield* socket.open(paths.bidi, { "content-type": "text/html" })
      yield* socket.send('{"text":"hi"}')
      yield* socket.send("\u001eend")
      yield* socket.until(() => socket.closed() !== undefined)
      assert.deepStrictEqual(
        socket.texts().map((text) => JSON.parse(text)),
        [{ text: "hi", payload: "", index: 0, metadata: {} }]
      )
      assert.strictEqual(socket.closed()?.code, 1000)
    })
  )
})
