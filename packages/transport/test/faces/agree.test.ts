/** What is sent is what the handler gets and what comes back, on every face, for random messages of the contract. A failure names its seed. */
import { create, type DescField, type DescMethod, fromJsonString, type Message, toBinary, toJsonString } from "@bufbuild/protobuf"
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect"
import { createClient, type Transport } from "@connectrpc/connect"
import * as ConnectNode from "@connectrpc/connect-node"
import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Channels from "../../src/Channels.ts"
import type * as Client from "../../src/Client.ts"
import type * as Codec from "../../src/codec/Codec.ts"
import * as Form from "../../src/codec/Form.ts"
import * as Msgpack from "../../src/codec/Msgpack.ts"
import * as Proto from "../../src/codec/Proto.ts"
import * as Xml from "../../src/codec/Xml.ts"
import * as Yaml from "../../src/codec/Yaml.ts"
import type { Address } from "../../src/Network.ts"
import * as Server from "../../src/Server.ts"
import * as WebClient from "../../src/web/WebClient.ts"
import { type Accept, message, random, type Random, text } from "../codec/randomMessage.ts"
import { Library } from "../gen/test/docs/v1/library_effect.ts"
import { LendBookRequestSchema, Library as LibraryDesc, UpdateBookRequestSchema } from "../gen/test/docs/v1/library_pb.ts"
import { Rest } from "../gen/test/v1/rest_effect.ts"
import { Rest as RestDesc, type UpdateWideRequest, UpdateWideRequestSchema, WideSchema } from "../gen/test/v1/rest_pb.ts"
import { validMessage } from "./validMessage.ts"

// ---- what is called

interface Method {
  readonly desc: DescMethod
  /** A message that every face with these fields can say. */
  readonly generate: (random: Random, accept: Accept) => Message
  /** The part of the request that the handler sends back. */
  readonly reply: (request: never) => Record<string, unknown>
  /** Where REST has it, when its body is the whole message. */
  readonly post?: string
}

const book = (random: Random) => {
  const request = validMessage(UpdateBookRequestSchema, random)
  const segment = () => encodeURIComponent(text(random)).slice(0, 20) || "s"
  // the path says the name, and the rule what a name is
  request.book ??= validMessage(LibraryDesc.method.updateBook.output, random)
  request.book.name = `shelves/${segment()}/books/${segment()}`
  return request
}

const methods: ReadonlyArray<Method> = [
  {
    // every kind of field
    desc: RestDesc.method.createWide,
    generate: (random, accept) => message(WideSchema, random, accept),
    reply: (request: Record<string, unknown>) => request,
    post: "/v1/wide"
  },
  {
    // REST has one field in the path, one in the body, the others in the query
    desc: RestDesc.method.replaceWide,
    generate: (random, accept) => {
      // the message of a schema has its type
      const request = message(UpdateWideRequestSchema, random, accept) as UpdateWideRequest
      request.id = text(random) || "id"
      return request
    },
    reply: ({ dryRun, id, updateMask, wide }: UpdateWideRequest) => ({ dryRun, id, updateMask, wide })
  },
  // messages that keep the contract's rules
  { desc: LibraryDesc.method.updateBook, generate: book, reply: ({ book }: { readonly book: Record<string, unknown> }) => book },
  {
    desc: LibraryDesc.method.lendBook,
    generate: (random) => validMessage(LendBookRequestSchema, random),
    reply: ({ bookId, to }: { readonly bookId: string; readonly to: string }) => ({ bookId, to })
  }
]

// ---- who answers: one server, whose handlers keep what they get

const received: Array<Message> = []

const handlersOf = (service: DescMethod["parent"]) =>
  Object.fromEntries(
    methods
      .filter(({ desc }) => desc.parent === service)
      .map(({ desc, reply }) => [
        desc.localName,
        (request: Message) =>
          Effect.sync(() => {
            received.push(request)
            return reply(request as never)
          })
      ])
  )

const OneServer = Server.layer({ services: [Rest, Library], host: "127.0.0.1", port: 0 }).pipe(
  // methods that are not given die
  Layer.provide(Layer.mock(Rest)(handlersOf(RestDesc) as Partial<Context.Service.Shape<typeof Rest>>)),
  Layer.provide(Layer.mock(Library)(handlersOf(LibraryDesc) as Partial<Context.Service.Shape<typeof Library>>))
)

// ---- who asks

type Call = (method: Method, request: Message) => Effect.Effect<Message, unknown>

class Refused extends Data.TaggedError("Refused")<{ readonly cause: unknown }> {
  override get message() {
    return String(this.cause)
  }
}

interface Face {
  readonly name: string
  /** The fields that its form can say. */
  readonly accept: Accept
  /** Leaves out messages that hold nothing, which its form cannot say. */
  readonly isTrimmed?: boolean
  /** Only methods whose body is the whole message. */
  readonly isBodyOnly?: boolean
  readonly connect: (address: Address) => Effect.Effect<Call, never, Scope.Scope>
}

const every: Accept = () => true

const ofClients =
  (clients: { readonly rest: object; readonly books: object }): Call =>
  ({ desc }, request) => {
    const client = desc.parent === RestDesc ? clients.rest : clients.books
    // the methods of a client are those of its descriptor
    return (client as Record<string, (request: Message) => Effect.Effect<Message, unknown>>)[desc.localName]!(request)
  }

const ourClient = (options: Client.Options): Face["connect"] =>
  Effect.fnUntraced(function* (address) {
    const clients = Layer.merge(Rest.client("discovery:///all", options), Library.client("discovery:///all", options))
    const context = yield* Layer.build(Layer.fresh(clients).pipe(Layer.provide(Layer.fresh(Channels.layerTo(address)))))
    return ofClients({ rest: Context.get(context, Rest), books: Context.get(context, Library) })
  })

const webClient: Face["connect"] = Effect.fnUntraced(function* (address) {
  const options = { baseUrl: `http://127.0.0.1:${address.port}` }
  const context = yield* Layer.build(Layer.merge(WebClient.layer(Rest, options), WebClient.layer(Library, options)))
  return ofClients({ rest: Context.get(context, Rest), books: Context.get(context, Library) })
})

const connectNode =
  (make: (baseUrl: string) => Transport): Face["connect"] =>
  (address) => {
    const transport = make(`http://127.0.0.1:${address.port}`)
    const call: Call = ({ desc }, request) =>
      Effect.tryPromise({
        try: () =>
          (createClient(desc.parent, transport) as Record<string, (request: Message) => Promise<Message>>)[desc.localName]!(request),
        catch: (cause) => new Refused({ cause })
      })
    return Effect.succeed(call)
  }

interface Format {
  readonly contentType: string
  readonly encode: (desc: DescMethod["input"], message: Message) => Uint8Array
  readonly decode: (desc: DescMethod["output"], bytes: Uint8Array) => Message
}

const ofCodec = (codec: Codec.Codec): Format => ({
  contentType: codec.contentType,
  encode: (desc, message) => Result.getOrThrow(codec.encode(desc, message)),
  decode: (desc, bytes) => Result.getOrThrow(codec.decode(desc, bytes))
})

/** The JSON of protobuf-es, not ours. */
const json: Format = {
  contentType: "application/json",
  encode: (desc, message) => new TextEncoder().encode(toJsonString(desc, message)),
  decode: (desc, bytes) => fromJsonString(desc, new TextDecoder().decode(bytes))
}

const fetched =
  ({ contentType, decode, encode }: Format): Face["connect"] =>
  (address) =>
    Effect.succeed(({ desc, post }, request) =>
      Effect.tryPromise({
        try: async () => {
          const response = await fetch(`http://127.0.0.1:${address.port}${post}`, {
            method: "POST",
            headers: { "content-type": contentType, accept: contentType },
            body: Buffer.from(encode(desc.input, request))
          })
          const bytes = new Uint8Array(await response.arrayBuffer())
          if (response.status !== 200) throw new Error(`${response.status}: ${new TextDecoder().decode(bytes)}`)
          assert.strictEqual(response.headers.get("content-type"), contentType)
          return decode(desc.output, bytes)
        },
        catch: (cause) => new Refused({ cause })
      })
    )

/** Forms of Go's structs do not tell an optional that is empty bytes from one that is not there. */
const ofStructs: Accept = ({ name }) => name !== "maybe_bytes"
/** XML has no characters below a space, hence no bytes, and no text of any kind; Any and Struct have texts in them. */
const ofXml: Accept = (field) =>
  ofStructs(field) && !/blobs|bytes|by_name|any|labels|by_number|text|string|name|struct|value|list|far|label|tags/.test(field.name)
/** Forms have no keys with brackets, and no place for these when they hold nothing. */
const ofForm: Accept = (field) =>
  field.fieldKind !== "map" && !/^google\.protobuf\.(Any|Empty|Struct|ListValue|Value)$/.test(field.message?.typeName ?? "")

const faces: ReadonlyArray<Face> = [
  { name: "gRPC", accept: every, connect: ourClient({ protocol: "grpc" }) },
  { name: "gRPC, gzip", accept: every, connect: ourClient({ protocol: "grpc", compression: "gzip" }) },
  { name: "Connect by our client", accept: every, connect: ourClient({ protocol: "connect" }) },
  { name: "WebClient", accept: every, connect: webClient },
  ...(["1.1", "2"] as const).flatMap((httpVersion) =>
    [true, false].flatMap((useBinaryFormat): ReadonlyArray<Face> => {
      const how = `${useBinaryFormat ? "proto" : "JSON"}, HTTP/${httpVersion}`
      const options = { httpVersion, useBinaryFormat }
      return [
        {
          name: `gRPC-Web, ${how}`,
          accept: every,
          connect: connectNode((baseUrl) => ConnectNode.createGrpcWebTransport({ baseUrl, ...options }))
        },
        {
          name: `Connect, ${how}`,
          accept: every,
          connect: connectNode((baseUrl) => ConnectNode.createConnectTransport({ baseUrl, ...options }))
        }
      ]
    })
  ),
  ...(["v3", "v2", "binary"] as const).map((dialect): Face => ({
    name: `REST by our client, ${dialect}`,
    accept: every,
    connect: ourClient({ protocol: "rest", dialect })
  })),
  { name: "REST, JSON", accept: every, isBodyOnly: true, connect: fetched(json) },
  { name: "REST, proto", accept: every, isBodyOnly: true, connect: fetched(ofCodec(Proto.codec)) },
  { name: "REST, YAML", accept: ofStructs, isBodyOnly: true, connect: fetched(ofCodec(Yaml.codec)) },
  { name: "REST, MessagePack", accept: ofStructs, isBodyOnly: true, connect: fetched(ofCodec(Msgpack.codec)) },
  { name: "REST, XML", accept: ofXml, isBodyOnly: true, connect: fetched(ofCodec(Xml.codec)) },
  { name: "REST, form", accept: ofForm, isTrimmed: true, isBodyOnly: true, connect: fetched(ofCodec(Form.codec)) }
]

// ---- comparison

/** The bytes of a message as it comes off a wire: floats of 32 bits, maps by key, and no -0, which JSON does not keep. */
const bytesOf = (desc: DescMethod["input"], value: Message): string =>
  Buffer.from(toBinary(desc, ordered(value) as Message)).toString("hex")

const ordered = (part: unknown): unknown => {
  if (Array.isArray(part)) return part.map(ordered)
  if (typeof part === "number") return Number.isNaN(part) ? Number.NaN : part + 0
  if (typeof part !== "object" || part === null || part instanceof Uint8Array) return part
  const { $typeName, ...rest } = part as Record<string, unknown>
  const entries = Object.entries(rest).map(([key, item]) => [key, ordered(item)] as const)
  // a message keeps the prototype that has its defaults
  if ($typeName !== undefined)
    return Object.assign(Object.create(Object.getPrototypeOf(part) as object), { $typeName }, Object.fromEntries(entries))
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Clears the fields of messages that hold nothing. */
const trim = (view: ReflectMessage): void => {
  for (const field of view.fields) {
    if (!view.isSet(field)) continue
    if (field.fieldKind === "list" && field.listKind === "message") for (const item of view.get(field)) trim(item as ReflectMessage)
    if (field.fieldKind !== "message" || field.message.typeName.startsWith("google.")) continue
    const inner = view.get(field)
    trim(inner)
    if (!inner.fields.some((one) => inner.isSet(one))) view.clear(field)
  }
}

const seeds = 25

layer(OneServer)("all faces agree", (it) => {
  for (const face of faces) {
    for (const method of methods) {
      if (face.isBodyOnly === true && method.post === undefined) continue
      it.effect(`${face.name}: ${method.desc.name}`, () =>
        Effect.gen(function* () {
          const { input, output } = method.desc
          const call = yield* face.connect((yield* Server.Server).address)
          for (let seed = 0; seed < seeds; seed++) {
            const request = method.generate(random(seed), face.accept)
            if (face.isTrimmed === true) trim(reflect(input, request))
            received.length = 0
            const reply = yield* Effect.catch(call(method, request), (error) => Effect.die(`seed ${seed}: ${String(error)}`))
            const said = `seed ${seed}: ${toJsonString(input, request)}`
            assert.lengthOf(received, 1)
            assert.strictEqual(bytesOf(input, received[0]!), bytesOf(input, request), said)
            assert.strictEqual(bytesOf(output, reply), bytesOf(output, create(output, method.reply(request as never))), said)
          }
        })
      )
    }
  }

  it("the messages have every field of the contract", () => {
    for (const { desc, generate } of methods) {
      const seen = new Set<DescField>()
      for (let seed = 0; seed < seeds; seed++) {
        const view = reflect(desc.input, generate(random(seed), every))
        for (const field of desc.input.fields) if (view.isSet(field)) seen.add(field)
      }
      const never = desc.input.fields.filter((field) => !seen.has(field)).map(({ name }) => name)
      // an enum of one value, which is nought
      assert.deepStrictEqual(
        never.filter((name) => name !== "null_value"),
        []
      )
    }
  })
})
