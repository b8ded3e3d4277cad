/**
 * Serves the document of a server's services at `/openapi.json` and a page that shows it at `/docs`. Both are made when they are first asked
 * for, once; until then not even the code that makes them is loaded.
 */
import { Lifecycle, type AppInfo } from "@effect-kratos/core/Lifecycle"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { promisify } from "node:util"
import { gzip } from "node:zlib"
import { EMPTY, type HttpExchange } from "../http/HttpExchange.ts"
import { respondError } from "../rest/Server.ts"
import type * as Service from "../Service.ts"
import type { Document } from "./Document.ts"
import type * as OpenApi from "./OpenApi.ts"
import type * as Page from "./Page.ts"

export interface Options extends OpenApi.Options {
  /** Where the document is. Default `/openapi.json`. */
  readonly path?: string | undefined
  /** The page; `false` serves none. */
  readonly docs?: false | DocsOptions | undefined
}

export interface DocsOptions {
  /** Where the page is. Default `/docs`. */
  readonly path?: string | undefined
  /** How Scalar looks and what it shows. */
  readonly scalar?: Page.Options | undefined
}

/** Something to serve, in the two forms in which it leaves. */
interface Asset {
  readonly plain: Uint8Array
  readonly zipped: Uint8Array
  readonly etag: string
  readonly fields: ReadonlyArray<readonly [string, string]>
}

/** Answers GET and HEAD of the two paths; false for any other exchange. */
export const make: (
  services: ReadonlyArray<Service.Any>,
  options: Options,
  report: (message: string, cause: unknown) => void
) => Effect.Effect<(exchange: HttpExchange) => boolean, never, Lifecycle> = Effect.fnUntraced(function* (services, options, report) {
  const { path = "/openapi.json" } = options
  const docs = options.docs === false ? undefined : { path: options.docs?.path ?? "/docs", scalar: options.docs?.scalar }
  const lifecycle = yield* Lifecycle
  const run = Effect.runPromiseWith(yield* Effect.context<never>())

  const document = perApp(lifecycle.infoUnsafe, async (app) => {
    const module = await import("./OpenApi.ts")
    return module.make(services, app, await run(module.loadComments(services)), options)
  })
  const json = perApp(lifecycle.infoUnsafe, async () => asset(Buffer.from(JSON.stringify(await document())), "application/json", []))
  const page = perApp(lifecycle.infoUnsafe, async () => {
    const module = await import("./Page.ts")
    const made = await document()
    return asset(await module.make(made, docs?.scalar), "text/html; charset=utf-8", [["content-security-policy", module.policy(made)]])
  })

  return (exchange) => {
    if (exchange.method !== "GET" && exchange.method !== "HEAD") return false
    const mark = exchange.target.indexOf("?")
    const target = mark < 0 ? exchange.target : exchange.target.slice(0, mark)
    const make = target === path ? json : docs !== undefined && target === docs.path ? page : undefined
    if (make === undefined) return false
    make().then(
      (found) => respond(exchange, found),
      (cause: unknown) => {
        report(`${target} cannot be made`, cause)
        respondError(exchange, KratosError.internalServer("", "internal error"))
      }
    )
    return true
  }
})

export type { Document }

/** Makes a thing once for each identity of the app; one that failed is made again. */
const perApp = <A>(info: () => AppInfo, make: (app: AppInfo) => Promise<A>): (() => Promise<A>) => {
  let made: { readonly app: AppInfo; readonly value: Promise<A> } | undefined
  return () => {
    const app = info()
    if (made?.app === app) return made.value
    const value = make(app)
    const mine = (made = { app, value })
    value.catch(() => {
      if (made === mine) made = undefined
    })
    return value
  }
}

const asset = async (plain: Uint8Array, contentType: string, fields: Asset["fields"]): Promise<Asset> => ({
  plain,
  zipped: await promisify(gzip)(plain),
  etag: createHash("sha256").update(plain).digest("base64url").slice(0, 22),
  fields: [["content-type", contentType], ["cache-control", "no-cache"], ["vary", "accept-encoding"], ...fields]
})

const respond = (exchange: HttpExchange, { etag, fields, plain, zipped }: Asset): void => {
  const isZipped = acceptsGzip(exchange.header("accept-encoding"))
  // the two forms are two representations
  const tag = isZipped ? `"${etag}.gz"` : `"${etag}"`
  const head = [...fields, ["etag", tag]] as const
  const known = exchange.header("if-none-match")
  if (known?.split(",").some((one) => one.trim().replace(/^W\//, "") === tag)) return exchange.respond(304, head, EMPTY)
  const body = isZipped ? zipped : plain
  const encoding = isZipped ? ([["content-encoding", "gzip"]] as const) : []
  exchange.respond(200, [...head, ...encoding, ["content-length", String(body.length)]], body)
}

/** Whether gzip is among the encodings, and not forbidden by a weight of 0. */
const acceptsGzip = (header: string | undefined): boolean =>
  header?.split(",").some((one) => /^\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*$)|$)/i.test(one)) ?? false
