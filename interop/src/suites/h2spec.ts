/** h2spec with `--strict`, on the bare engine and on a whole server, in clear text and over TLS with ALPN. */
import * as HeaderBlock from "@effect-kratos/http2/HeaderBlock"
import * as ServerConnection from "@effect-kratos/http2/ServerConnection"
import type { Stream as H2Stream, StreamListener } from "@effect-kratos/http2/Stream"
import * as Server from "@effect-kratos/transport/Server"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import * as tls from "node:tls"
import * as Certificates from "../Certificates.ts"
import * as Files from "../Files.ts"
import * as Program from "../Program.ts"
import * as Suite from "./Suite.ts"

/** How many cases h2spec has: one that is not run must not go unnoticed. */
const CASES = 146

const text = "hello from the other side"

const head = HeaderBlock.HeaderBlock.make([
  [":status", "200"],
  ["content-type", "text/plain"]
])

/** Answers when the request is complete. */
const onStream = (stream: H2Stream, _headers: unknown, endStream: boolean): StreamListener => {
  const answer = (): void => stream.respond(head, Buffer.from(text), undefined)
  if (endStream) answer()
  return {
    onData: (data, end) => {
      stream.consumed(data.length)
      if (end) answer()
    },
    onTrailers: answer,
    onAbort: () => {}
  }
}

type Certificate = Certificates.Certificate | undefined

/** The engine on Node's sockets, nothing around it. */
const engine = (certificate: Certificate): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const sockets = new Set<net.Socket>()
      const take = (socket: net.Socket): void => {
        sockets.add(socket)
        socket.on("close", () => sockets.delete(socket)).on("error", () => undefined)
        ServerConnection.ServerConnection.make(socket, { onStream })
      }
      const server =
        certificate === undefined
          ? net.createServer(take)
          : tls.createServer(
              { cert: fs.readFileSync(certificate.cert), key: fs.readFileSync(certificate.key), ALPNProtocols: ["h2"] },
              take
            )
      server.on("close", () => sockets.forEach((socket) => socket.destroy()))
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  ).pipe(Effect.map((server) => (server.address() as net.AddressInfo).port)) // it listens on a port

const routes = HttpRouter.add("*", "/", Effect.succeed(HttpServerResponse.text(text)))

/** A whole server; h2spec calls a route of the user's. */
const whole = (certificate: Certificate): Effect.Effect<number, unknown, Scope.Scope> =>
  Effect.map(Layer.build(Server.layer({ services: [], host: "127.0.0.1", port: 0, routes, tls: certificate })), (context) =>
    Server.Server.pipe(Effect.provideContext(context))
  ).pipe(
    Effect.flatten,
    Effect.map(({ address }) => address.port)
  )

/** Reads h2spec's report: a test case with text inside has failed or was skipped. */
export const parse = (xml: string): ReadonlyArray<Suite.CaseResult> =>
  [...xml.matchAll(/<testcase package="([^"]*)" classname="([^"]*)"[^>]*?(?:\/>|>(.*?)<\/testcase>)/gs)].map(
    ([, section, title, inside = ""]) => {
      const name = `${section}: ${unescape(title!)}`
      if (inside.includes("<skipped")) return Suite.fail(name, "h2spec skipped it")
      return /<(?:failure|error)/.test(inside) ? Suite.fail(name, unescape(inside.replaceAll(/<[^>]*>/g, " "))) : Suite.ok(name)
    }
  )

const unescape = (xml: string): string =>
  xml.replaceAll(/&(?:#(\d+)|#x([0-9a-f]+)|(lt|gt|amp|quot|apos));/gi, (_, decimal?: string, hex?: string, name?: string) =>
    decimal !== undefined
      ? String.fromCodePoint(Number(decimal))
      : hex !== undefined
        ? String.fromCodePoint(Number.parseInt(hex, 16))
        : ({ lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" }[name!.toLowerCase()] ?? "")
  )

const results = Effect.fnUntraced(function* (
  secure: boolean,
  serve: (certificate: Certificate) => Effect.Effect<number, unknown, Scope.Scope>
) {
  const port = yield* serve(secure ? yield* Certificates.make : undefined)
  const report = path.join(yield* Files.folder, "report.xml")
  const options = ["-h", "127.0.0.1", "-p", String(port), "--strict", "-j", report, ...(secure ? ["-t", "-k"] : [])]
  const { stderr, stdout } = yield* Program.run([Program.which("h2spec")!, ...options], { seconds: 280 }) // part of `missing`
  const cases = fs.existsSync(report) ? parse(fs.readFileSync(report, "utf8")) : []
  const complete = cases.length === CASES ? [] : [Suite.fail("all cases", `${cases.length} of ${CASES}: ${stdout}${stderr}`.slice(-600))]
  return Stream.fromIterable([...cases, ...complete])
})

const part = (
  name: string,
  secure: boolean,
  serve: (certificate: Certificate) => Effect.Effect<number, unknown, Scope.Scope>
): Suite.Part => ({
  name,
  missing: secure ? Program.missing("h2spec", "openssl") : Program.missing("h2spec"),
  run: Stream.unwrap(results(secure, serve))
})

export const suite: Suite.Suite = {
  name: "h2spec",
  about: "HTTP/2 and HPACK, all cases with --strict",
  parts: [
    part("engine", false, engine),
    part("engine over TLS", true, engine),
    part("server", false, whole),
    part("server over TLS", true, whole)
  ]
}
