/** Reflection tells what the server serves, by every kind of question, over the real wire. */
import { fromBinary, type MessageInitShape } from "@bufbuild/protobuf"
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt"
import { assert, it } from "@effect/vitest"
import * as Channels from "../../src/Channels.ts"
import * as Network from "../../src/Network.ts"
import * as Server from "../../src/Server.ts"
import * as Service from "../../src/Service.ts"
import { ServerReflection as V1, type ServerReflectionRequestSchema } from "../../src/gen/grpc/reflection/v1/reflection_pb.ts"
import { ServerReflection as V1Alpha } from "../../src/gen/grpc/reflection/v1alpha/reflection_pb.ts"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Echo } from "../gen/test/v1/echo_effect.ts"
import { EchoLive, Journal } from "../EchoLive.ts"
import * as Harness from "../Harness.ts"

class Reflection extends Service.make<Reflection>()(V1) {}
class Alpha extends Service.make<Alpha>()(V1Alpha) {}

const serve = (options: { readonly reflection?: boolean } = {}) =>
  Layer.mergeAll(Reflection.client("discovery:///echo"), Alpha.client("discovery:///echo")).pipe(
    Layer.provide(Channels.layerTo({ host: "echo", port: 1 })),
    Layer.provide(Server.layer({ services: [Echo], host: "echo", port: 1, ...options })),
    Layer.provide(EchoLive),
    Layer.provide(Journal.layer),
    Layer.provide(Network.layerMemory)
  )

type Question = NonNullable<MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"]>

const ask = (...questions: ReadonlyArray<Question>) =>
  Effect.gen(function* () {
    const reflection = yield* Reflection
    const replies = yield* Stream.runCollect(
      reflection.serverReflectionInfo(Stream.fromIterable(questions.map((messageRequest) => ({ host: "me", messageRequest }))))
    )
    return replies.map((reply) => reply.messageResponse)
  })

const names = (response: Effect.Success<ReturnType<typeof ask>>[number] | undefined): ReadonlyArray<string> => {
  assert.strictEqual(response?.case, "fileDescriptorResponse")
  return response?.case === "fileDescriptorResponse"
    ? response.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name)
    : []
}

const errorOf = (response: Effect.Success<ReturnType<typeof ask>>[number] | undefined): number | undefined =>
  response?.case === "errorResponse" ? response.value.errorCode : undefined

const ECHO = "test/v1/echo.proto"

it.effect("lists the services, its own and health among them", () =>
  Effect.gen(function* () {
    const [reply] = yield* ask({ case: "listServices", value: "*" })
    assert.deepStrictEqual(reply?.case === "listServicesResponse" && reply.value.service.map((service) => service.name), [
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      "test.v1.Echo"
    ])
  }).pipe(Effect.provide(serve()))
)

it.effect.each([
  "test.v1.Echo",
  ".test.v1.Echo",
  "test.v1.Echo.Unary",
  "test.v1.EchoRequest",
  "test.v1.EchoRequest.delay_ms",
  "test.v1.EchoReply.MetadataEntry"
])("finds the file of %s, and what it imports", (symbol) =>
  Effect.gen(function* () {
    const [reply] = yield* ask({ case: "fileContainingSymbol", value: symbol })
    const found = names(reply)
    assert.strictEqual(found[0], ECHO)
    assert.includeMembers([...found], ["google/api/annotations.proto", "google/api/http.proto", "google/protobuf/descriptor.proto"])
  }).pipe(Effect.provide(serve()))
)

it.effect("does not send an import twice on one stream, but always the file that was asked for", () =>
  Effect.gen(function* () {
    const replies = yield* ask(
      { case: "fileByFilename", value: ECHO },
      { case: "fileByFilename", value: ECHO },
      { case: "fileByFilename", value: "google/api/http.proto" },
      { case: "fileByFilename", value: "google/api/annotations.proto" }
    )
    assert.isAbove(names(replies[0]).length, 1)
    assert.deepStrictEqual(replies.slice(1).map(names), [[ECHO], ["google/api/http.proto"], ["google/api/annotations.proto"]])
  }).pipe(Effect.provide(serve()))
)

it.effect("knows enum values and extensions", () =>
  Effect.gen(function* () {
    const [value, extension, byName, all, none] = yield* ask(
      { case: "fileContainingSymbol", value: "google.protobuf.FieldDescriptorProto.TYPE_DOUBLE" },
      { case: "fileContainingExtension", value: { containingType: "google.protobuf.MethodOptions", extensionNumber: 72295728 } },
      { case: "fileContainingSymbol", value: "google.api.http" },
      { case: "allExtensionNumbersOfType", value: "google.protobuf.MethodOptions" },
      { case: "allExtensionNumbersOfType", value: "test.v1.EchoRequest" }
    )
    assert.strictEqual(names(value)[0], "google/protobuf/descriptor.proto")
    assert.strictEqual(names(extension)[0], "google/api/annotations.proto")
    assert.strictEqual(names(byName)[0], "google/api/annotations.proto")
    assert.deepStrictEqual(all?.case === "allExtensionNumbersResponse" && [...all.value.extensionNumber], [72295728])
    assert.deepStrictEqual(none?.case === "allExtensionNumbersResponse" && [...none.value.extensionNumber], [])
  }).pipe(Effect.provide(serve()))
)

it.effect("answers NOT_FOUND for what is not there, and goes on", () =>
  Effect.gen(function* () {
    const replies = yield* ask(
      { case: "fileByFilename", value: "nothing.proto" },
      { case: "fileContainingSymbol", value: "test.v1.Nothing" },
      { case: "fileContainingExtension", value: { containingType: "test.v1.EchoRequest", extensionNumber: 1 } },
      { case: "allExtensionNumbersOfType", value: "test.v1.Nothing" },
      { case: undefined },
      { case: "fileByFilename", value: ECHO }
    )
    assert.deepStrictEqual(replies.slice(0, 5).map(errorOf), [5, 5, 5, 5, 3])
    assert.strictEqual(names(replies[5])[0], ECHO)
  }).pipe(Effect.provide(serve()))
)

it.effect("repeats the request, and serves v1alpha alike", () =>
  Effect.gen(function* () {
    const question = {
      case: "fileContainingExtension",
      value: { containingType: "google.protobuf.MethodOptions", extensionNumber: 72295728 }
    } as const
    const reflection = yield* Reflection
    const alpha = yield* Alpha
    const requests = Stream.make({ host: "me", messageRequest: question })
    const [first] = yield* Stream.runCollect(reflection.serverReflectionInfo(requests))
    const [second] = yield* Stream.runCollect(alpha.serverReflectionInfo(requests))
    assert.strictEqual(first?.validHost, "me")
    assert.strictEqual(first?.originalRequest?.messageRequest.case, question.case)
    assert.strictEqual(second?.originalRequest?.messageRequest.case, question.case)
    assert.deepStrictEqual(
      second?.messageResponse.case === "fileDescriptorResponse" && second.messageResponse.value.fileDescriptorProto,
      first?.messageResponse.case === "fileDescriptorResponse" && first.messageResponse.value.fileDescriptorProto
    )
  }).pipe(Effect.provide(serve()))
)

it.effect("a stream that nobody ends does not hold up the server's", () =>
  Effect.gen(function* () {
    const server = yield* Harness.serve()
    const client = Reflection.client("discovery:///echo").pipe(
      Layer.provide(Channels.layerTo(server.address)),
      Layer.provide(Layer.succeed(Network.Network, server.network))
    )
    const reflection = Context.get(yield* Layer.build(client), Reflection)
    const asked = yield* Deferred.make<void>()
    const open = yield* Stream.concat(Stream.succeed({ messageRequest: { case: "listServices", value: "" } } as const), Stream.never).pipe(
      reflection.serverReflectionInfo,
      Stream.runForEach(() => Deferred.succeed(asked, undefined)),
      Effect.forkChild
    )
    yield* Deferred.await(asked)
    // the clock of this test stands still, so that the drain's limit does not pass
    yield* server.close
    assert.strictEqual((yield* Fiber.await(open))._tag, "Success")
  })
)

it.effect("is absent when it is turned off", () =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(ask({ case: "listServices", value: "" }))
    assert.strictEqual(error.code, 501)
  }).pipe(Effect.provide(serve({ reflection: false })))
)
