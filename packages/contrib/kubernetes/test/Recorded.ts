/** An API server that says what a test has recorded. */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Redacted from "effect/Redacted"
import * as Cluster from "../src/Cluster.ts"
import * as Kubernetes from "../src/Kubernetes.ts"

export interface Asked {
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly token: string | undefined
  readonly contentType: string | undefined
  readonly body: string
}

/** What is asked, in order, beside what is answered. */
export const make = (answer: (asked: Asked, n: number) => Response, limits: Kubernetes.Limits = {}, cluster?: Cluster.Cluster) => {
  const asked: Array<Asked> = []
  const http = HttpClient.make((request, url) =>
    Effect.sync(() => {
      const one: Asked = {
        method: request.method,
        path: url.pathname,
        query: Object.fromEntries(url.searchParams),
        token: request.headers["authorization"]?.replace("Bearer ", ""),
        contentType: request.body._tag === "Uint8Array" ? request.body.contentType : undefined,
        body: request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
      }
      asked.push(one)
      return HttpClientResponse.fromWeb(request, answer(one, asked.length - 1))
    })
  )
  const to = cluster ?? Cluster.make({ server: "https://kubernetes.test/", token: Redacted.make("hunter2") })
  return Effect.map(Effect.provideService(Kubernetes.make(to, limits), HttpClient.HttpClient, http), (kubernetes) => ({
    asked,
    kubernetes
  }))
}

export const object = (name: string, version: number) => ({ metadata: { namespace: "shop", name, resourceVersion: String(version) } })
export const list = (version: number, items: ReadonlyArray<unknown>, next?: string) =>
  Response.json({ metadata: { resourceVersion: String(version), ...(next === undefined ? {} : { continue: next }) }, items })
export const event = (type: string, object: unknown) => `${JSON.stringify({ type, object })}\n`
export const bookmark = (version: number) => event("BOOKMARK", { metadata: { resourceVersion: String(version) } })
export const status = (code: number, reason: string, headers: Record<string, string> = {}) =>
  Response.json({ kind: "Status", status: "Failure", message: `because of ${reason}`, reason, code }, { status: code, headers })

/** A watch that says these, and ends, or stays open. */
export const watch = (events: ReadonlyArray<string>, options: { readonly open?: boolean } = {}) =>
  new Response(
    new ReadableStream({
      start: (controller) => {
        for (const event of events) controller.enqueue(new TextEncoder().encode(event))
        if (options.open !== true) controller.close()
      }
    })
  )
