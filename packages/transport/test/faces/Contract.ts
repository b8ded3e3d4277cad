/**
 * `test.v1.Echo` with an HTTP rule for each of its kinds, so that REST has them all: server streams and WebSockets are opened by GET, as
 * browsers do.
 */
import { clone, create, createFileRegistry, setExtension, type DescFile } from "@bufbuild/protobuf"
import { FileDescriptorProtoSchema, MethodOptionsSchema } from "@bufbuild/protobuf/wkt"
import { http } from "../../src/gen/google/api/annotations_pb.ts"
import { HttpRuleSchema } from "../../src/gen/google/api/http_pb.ts"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Service from "../../src/Service.ts"
import { EchoLive } from "../EchoLive.ts"
import { Echo } from "../gen/test/v1/echo_effect.ts"
import { Echo as EchoDesc } from "../gen/test/v1/echo_pb.ts"

/** Where REST has each method. `Old` has no rule. */
export const paths = {
  unary: "/faces/unary",
  serverStream: "/faces/server-stream",
  clientStream: "/faces/client-stream",
  bidi: "/faces/bidi"
} as const

const descriptor = (): typeof EchoDesc => {
  const proto = clone(FileDescriptorProtoSchema, EchoDesc.file.proto)
  for (const method of proto.service[0]!.method) {
    method.options = create(MethodOptionsSchema)
    const local = (method.name.charAt(0).toLowerCase() + method.name.slice(1)) as keyof typeof paths
    const path = paths[local]
    if (path === undefined) continue
    const rule =
      local === "unary"
        ? { pattern: { case: "post" as const, value: path }, body: "*" }
        : { pattern: { case: "get" as const, value: path } }
    setExtension(method.options, http, create(HttpRuleSchema, rule))
  }
  const dependencies = new Map<string, DescFile>(EchoDesc.file.dependencies.map((file) => [file.proto.name, file]))
  // the same contract but for the rules
  return createFileRegistry(proto, (name) => dependencies.get(name)).getService(EchoDesc.typeName) as typeof EchoDesc
}

/** Stands for `Echo` wherever that is asked for: same key, same messages. */
export const EchoFaces = Service.make<Echo>()(descriptor(), { errors: Echo.errors }) as unknown as typeof Echo

/**
 * EchoLive whose client streams wait behind their last request, as `delay_ms` asks. Node's HTTP/2 ends a stream of requests before it resets it, so
 * that a handler without anything left to wait for is done before the reset arrives.
 */
export const EchoFacesLive = Layer.effect(
  Echo,
  Effect.map(Echo, (echo) =>
    Echo.of({
      ...echo,
      clientStream: (requests) => {
        let delayMs = 0
        const seen = Stream.tap(requests, (request) => Effect.sync(() => void (delayMs = Math.max(delayMs, request.delayMs ?? 0))))
        const wait = Effect.suspend(() => (delayMs > 0 ? Effect.sleep(delayMs) : Effect.void))
        return echo.clientStream(Stream.concat(seen, Stream.fromEffectDrain(wait)))
      }
    })
  )
).pipe(Layer.provide(EchoLive))
