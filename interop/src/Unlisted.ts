/** Methods that no server has: the test contract with one method, or its service, under another name. */
import { clone, createFileRegistry, type DescFile, type DescService } from "@bufbuild/protobuf"
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt"
import type { Channels } from "@effect-kratos/transport/Channels"
import type * as Client from "@effect-kratos/transport/Client"
import * as Service from "@effect-kratos/transport/Service"
import * as Effect from "effect/Effect"
import { Echo } from "./gen/test/v1/echo_effect.ts"

const find = (files: ReadonlyArray<DescFile>, name: string): DescFile | undefined => {
  for (const file of files) {
    const found = file.proto.name === name ? file : find(file.dependencies, name)
    if (found !== undefined) return found
  }
  return undefined
}

const renamed = (from: string, to: string): DescService => {
  const file = clone(FileDescriptorProtoSchema, Echo.descriptor.file.proto)
  for (const named of file.service.flatMap((service) => [service, ...service.method])) if (named.name === from) named.name = to
  const registry = createFileRegistry(file, (name) => find(Echo.descriptor.file.dependencies, name)?.proto)
  const service = registry.getService("test.v1.Echo") ?? registry.getService(`test.v1.${to}`)
  if (service === undefined) throw new Error(`${from} was not renamed`)
  return service
}

type Tls = Client.Options["tls"]

class Unlisted {
  declare readonly _: never
}

const call = (target: string, tls: Tls, service: () => DescService, method: string): Effect.Effect<unknown, unknown, Channels> =>
  Effect.suspend(() => {
    const tag = Service.make<Unlisted>()(service())
    // a client without generated code has no types; the descriptor says that it is a unary method
    const use = Effect.flatMap(tag, (client) =>
      (client as unknown as Record<string, (request: object) => Effect.Effect<unknown, unknown>>)[method]!({})
    )
    return Effect.provide(use, tag.client(target, { tls }))
  })

/** Calls `/test.v1.Echo/Nope`. */
export const method = (target: string, tls?: Tls) => call(target, tls, () => renamed("Old", "Nope"), "nope")

/** Calls `/test.v1.Nope/Unary`. */
export const service = (target: string, tls?: Tls) => call(target, tls, () => renamed("Echo", "Nope"), "unary")
