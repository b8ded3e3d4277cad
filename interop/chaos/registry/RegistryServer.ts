/**
 * A registry with leases, as small as one can be: instances are put with a time to live and renewed by being put again; whoever watches asks for the list
 * after an index and waits. It stands for the registries that fleets have, and can be put behind a fault proxy or made to forget everything.
 *
 * `PUT /NAME/ID?ttl=MILLIS` with an instance, `DELETE /NAME/ID`, `GET /NAME?index=N`.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as http from "node:http"
import type * as net from "node:net"

export interface Registered {
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly at: number
}

export interface RegistryServer {
  readonly address: { readonly host: string; readonly port: number }
  /** The ids that are listed for a name now. */
  readonly list: (name: string) => ReadonlyArray<string>
  /** Every time that an instance came that was not listed, in order. */
  readonly registrations: ReadonlyArray<Registered>
}

interface Lease {
  readonly text: string
  expires: number
}

interface Service {
  readonly leases: Map<string, Lease>
  index: number
  readonly waiting: Set<() => void>
}

/** A watch is answered at the latest after this time, in milliseconds. */
const MAX_WAIT = 30_000
const MAX_BODY = 65_536

/** Listens on a free port of 127.0.0.1 until the scope closes. */
export const make: Effect.Effect<RegistryServer, never, Scope.Scope> = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const services = new Map<string, Service>()
  const registrations: Array<Registered> = []

  const service = (name: string): Service => {
    const known = services.get(name)
    if (known !== undefined) return known
    const made: Service = { leases: new Map(), index: 1, waiting: new Set() }
    services.set(name, made)
    return made
  }
  const changed = (self: Service): void => {
    self.index++
    for (const answer of self.waiting) answer()
  }
  const expire = (): void => {
    for (const self of services.values()) {
      const old = [...self.leases].filter(([, lease]) => lease.expires <= now())
      for (const [id] of old) self.leases.delete(id)
      if (old.length > 0) changed(self)
    }
  }

  const put = (name: string, id: string, ttl: number, text: string): void => {
    const self = service(name)
    const lease = self.leases.get(id)
    if (lease?.text === text) {
      lease.expires = now() + ttl
      return
    }
    if (lease === undefined) registrations.push({ id, at: now() })
    self.leases.set(id, { text, expires: now() + ttl })
    changed(self)
  }
  const watch = (name: string, index: number, response: http.ServerResponse): void => {
    const self = service(name)
    const answer = (): void => {
      clearTimeout(timer)
      self.waiting.delete(answer)
      const instances = Array.from(self.leases.values(), ({ text }) => text)
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ index: self.index, instances }))
    }
    const timer = setTimeout(answer, MAX_WAIT)
    response.on("close", () => {
      clearTimeout(timer)
      self.waiting.delete(answer)
    })
    if (index === self.index) self.waiting.add(answer)
    else answer()
  }
  const serve = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    const url = new URL(request.url ?? "/", "http://registry")
    const [, name = "", id = ""] = url.pathname.split("/").map(decodeURIComponent)
    let body = ""
    request.setEncoding("utf8").on("data", (text: string) => {
      body += text
      if (body.length > MAX_BODY) request.destroy()
    })
    request.on("end", () => {
      if (request.method === "GET") return watch(name, Number(url.searchParams.get("index")), response)
      if (request.method === "PUT") put(name, id, Number(url.searchParams.get("ttl")), body)
      else if (service(name).leases.delete(id)) changed(service(name))
      response.writeHead(204).end()
    })
  }

  const server = yield* Effect.acquireRelease(
    Effect.callback<http.Server>((resume) => {
      const server = http.createServer(serve)
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )
  yield* Effect.forkScoped(Effect.forever(Effect.delay(Effect.sync(expire), "100 millis")))
  const { port } = server.address() as net.AddressInfo // it listens on a port
  return {
    address: { host: "127.0.0.1", port },
    list: (name) => [...service(name).leases.keys()],
    registrations
  }
})
