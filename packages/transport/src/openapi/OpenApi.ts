/**
 * An OpenAPI 3.1 document of services, made from their descriptors at run time. Its paths are the routes that REST serves, from the same
 * compilation of the rules, so that the two cannot differ. Methods without a rule are left out; those to which
 * the client streams are shown as the opening of their WebSocket.
 */
import type { DescMethod } from "@bufbuild/protobuf"
import type { AppInfo } from "@effect-kratos/core/Lifecycle"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Comments } from "../Comments.ts"
import * as Binding from "../rest/Binding.ts"
import * as FrameBinding from "../rest/FrameBinding.ts"
import type * as Service from "../Service.ts"
import type { Document, Info, Operation, SecurityRequirement, SecurityScheme, Server } from "./Document.ts"
import * as Operations from "./Operations.ts"
import * as Paths from "./Paths.ts"
import * as Schemas from "./Schemas.ts"

export interface Options {
  /** Title and version are those of the app unless set. */
  readonly info?: Partial<Info> | undefined
  /** Default: the server itself, `/`. */
  readonly servers?: ReadonlyArray<Server> | undefined
  readonly securitySchemes?: Readonly<Record<string, SecurityScheme>> | undefined
  /** What every operation asks for; one of the list is enough. */
  readonly security?: ReadonlyArray<SecurityRequirement> | undefined
  /** The last word on the document. */
  readonly transform?: ((document: Document) => Document) | undefined
}

/** The comments of all services. Those that cannot be loaded are left out: a document without them is better than none. */
export const loadComments = (services: ReadonlyArray<Service.Any>): Effect.Effect<Comments> =>
  Effect.map(
    Effect.forEach(services, ({ comments }) =>
      comments === undefined
        ? Effect.succeed<Comments>({})
        : Effect.orElseSucceed(
            Effect.map(Effect.tryPromise(comments), (module) => module.comments),
            (): Comments => ({})
          )
    ),
    (all) => Object.assign({}, ...all) as Comments
  )

/** The document of `services`. Rules that do not fit their messages are left out; a server with such a rule does not start. */
export const make = (services: ReadonlyArray<Service.Any>, app: AppInfo, comments: Comments, options: Options = {}): Document => {
  const schemas = Schemas.make({ prefix: "#/components/schemas/", comments, nulls: true })
  const paths: Record<string, Record<string, Operation>> = {}
  // OpenAPI knows a path by its shape: one that differs in names only is the same
  const known = new Map<string, { readonly path: string; readonly names: ReadonlyArray<string> }>()
  for (const { binding, operationId, service } of routes(services)) {
    const path = Paths.make(binding.template)
    let place = known.get(path.shape)
    if (place === undefined) known.set(path.shape, (place = { path: path.path, names: path.parameters.map(({ name }) => name) }))
    const item = (paths[place.path] ??= {})
    const methods = binding.httpMethod === "*" ? anyMethod : [binding.httpMethod.toLowerCase()]
    for (const method of methods) {
      // as in the router, the first of two equal routes counts
      if (!verbs.has(method) || method in item) continue
      const id = methods.length === 1 ? operationId : `${operationId}_${method}`
      item[method] = Operations.make({ service, binding, path, names: place.names, operationId: id }, schemas, comments)
    }
  }
  for (const { method, operationId, service, template } of sockets(services)) {
    const path = Paths.make(template)
    const place = known.get(path.shape) ?? { path: path.path, names: path.parameters.map(({ name }) => name) }
    known.set(path.shape, place)
    const item = (paths[place.path] ??= {})
    if (!("get" in item)) item["get"] = Operations.webSocket({ service, path, names: place.names, operationId }, method, schemas, comments)
  }
  const document: Document = {
    openapi: "3.1.0",
    info: {
      ...options.info,
      title: options.info?.title ?? titleOf(services, app),
      version: options.info?.version ?? (app.version || "0.0.0")
    },
    servers: options.servers ?? [{ url: "/" }],
    tags: services.map(({ descriptor }) => {
      const description = comments[descriptor.typeName]
      return { name: descriptor.typeName, ...(description === undefined ? {} : { description }) }
    }),
    paths: Object.fromEntries(Object.entries(paths).filter(([, item]) => Object.keys(item).length > 0)),
    components: {
      schemas: Object.fromEntries(
        [...schemas.definitions, [Operations.errorName, Operations.errorSchema] as const].sort(([a], [b]) => (a < b ? -1 : 1))
      ),
      responses: { Error: Operations.errorResponse },
      ...(options.securitySchemes === undefined ? {} : { securitySchemes: options.securitySchemes })
    },
    ...(options.security === undefined ? {} : { security: options.security })
  }
  return options.transform === undefined ? document : options.transform(document)
}

/** The verbs that a path of OpenAPI 3.1 has. */
const verbs: ReadonlySet<string> = new Set(["get", "put", "post", "delete", "options", "head", "patch", "trace"])
/** Those under which a route of every verb is shown. */
const anyMethod: ReadonlyArray<string> = ["get", "put", "post", "patch", "delete"]

interface Found {
  readonly service: Service.Any
  readonly binding: Binding.Binding
  readonly operationId: string
}

const routes = (services: ReadonlyArray<Service.Any>): ReadonlyArray<Found> =>
  each(services, (method) => Result.getOrElse(Binding.fromMethod(method), () => [])).map(({ operationId, route, service }) => ({
    service,
    binding: route,
    operationId
  }))

/** The routes of methods to which the client streams. */
const sockets = (services: ReadonlyArray<Service.Any>) =>
  each(services, (method) => Result.getOrElse(FrameBinding.fromMethod(method), () => [])).map(({ operationId, route, service }) => ({
    service,
    method: route.method,
    template: route.template,
    operationId
  }))

/** Every route of every method, with a name that no other operation has. */
const each = <A>(services: ReadonlyArray<Service.Any>, routesOf: (method: DescMethod) => ReadonlyArray<A>) => {
  const short = services.map(({ descriptor }) => descriptor.name)
  return services.flatMap((service) => {
    const { descriptor } = service
    const isUnique = short.filter((name) => name === descriptor.name).length === 1
    const prefix = isUnique ? descriptor.name : descriptor.typeName.replaceAll(".", "_")
    return descriptor.methods.flatMap((method) =>
      routesOf(method).map((route, index) => ({
        service,
        route,
        operationId: `${prefix}_${method.name}${index === 0 ? "" : `_${index + 1}`}`
      }))
    )
  })
}

const titleOf = (services: ReadonlyArray<Service.Any>, app: AppInfo): string =>
  // without an app nobody has a name
  app.id === "" ? services[0]?.descriptor.file.proto.package || "API" : app.name
