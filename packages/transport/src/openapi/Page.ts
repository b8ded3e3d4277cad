/**
 * A page that shows an OpenAPI document: Scalar, from the bundle that Effect brings with it, with the document inside. Nothing of it comes from
 * elsewhere, and a policy in its head sees to that.
 */
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiScalar from "effect/http-api/HttpApiScalar"
import * as EffectOpenApi from "effect/http-api/OpenApi"
import * as HttpRouter from "effect/http/HttpRouter"
import type { Document } from "./Document.ts"

/** What Scalar is told besides the document. */
export type Options = HttpApiScalar.ScalarConfig

const path = "/page"

/** Nothing that leads elsewhere: fonts, the vendor's client and tools, a favicon that nobody has. Some of it Effect's type does not name. */
const local = {
  withDefaultFonts: false,
  hideModels: false,
  favicon: "data:,",
  hideClientButton: true,
  showDeveloperTools: "never",
  telemetry: false
}

/** The page as HTML, about 3 MB. */
export const make = async (document: Document, options: Options = {}): Promise<Uint8Array> => {
  const api = HttpApi.make("docs").pipe((self) =>
    // the document is ours; of this API only its page is wanted
    self.annotate(EffectOpenApi.Transform, () => ({ ...document }))
  )
  const scalar: Options = { ...local, ...options }
  const { dispose, handler } = HttpRouter.toWebHandler(HttpApiScalar.layer(api, { path, scalar }), { disableLogger: true })
  try {
    const response = await handler(new Request(`http://localhost${path}`))
    return new Uint8Array(await response.arrayBuffer())
  } finally {
    await dispose()
  }
}

/**
 * The policy under which a browser shows the page: its own scripts and styles, and requests to this server and to those that the document
 * names, for trying things out.
 */
export const policy = (document: Document): string => {
  const servers = document.servers.map(({ url }) => originOf(url)).filter((origin) => origin !== undefined)
  return [
    "default-src 'none'",
    "script-src 'unsafe-inline'",
    "style-src 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "font-src data:",
    `connect-src ${["'self'", ...new Set(servers)].join(" ")}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'self'"
  ].join("; ")
}

const originOf = (url: string): string | undefined => {
  try {
    const { origin } = new URL(url)
    return origin === "null" ? undefined : origin
  } catch {
    // relative: this server
    return undefined
  }
}
