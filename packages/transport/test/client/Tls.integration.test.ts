/** The client's side of TLS: sessions that are resumed, certificates that change, and every way in which a handshake fails. Certificates are made with openssl. */
import { Call } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as ServerConnection from "@effect-kratos/http2/ServerConnection"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { execFileSync } from "node:child_process"
import { cpSync, mkdtempSync, rmSync } from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tls from "node:tls"
import * as Channels from "../../src/Channels.ts"
import * as Network from "../../src/Network.ts"
import * as NetworkError from "../../src/NetworkError.ts"
import * as Server from "../../src/Server.ts"
import type * as Tls from "../../src/Tls.ts"
import { Echo } from "../gen/test/v1/echo_effect.ts"
import { implement, turn, until } from "../Harness.ts"
import { answer } from "./Rig.ts"

const openssl = (() => {
  try {
    execFileSync("openssl", ["version"])
    return true
  } catch {
    return false
  }
})()

const CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

describe.skipIf(!openssl)("TLS of clients (needs openssl)", () => {
  let dir = ""
  const file = (name: string) => join(dir, name)
  const run = (...args: ReadonlyArray<string>) => execFileSync("openssl", args, { cwd: dir, stdio: "pipe" })
  const issue = (name: string, names: string, days = "2") => {
    run("req", ...CURVE, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`, "-addext", `subjectAltName=${names}`)
    const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
    run("x509", "-req", "-in", `${name}.csr`, ...by, "-days", days, "-copy_extensions", "copy", "-out", `${name}.pem`)
  }
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "tls-client-"))
    for (const name of ["ca", "other"]) {
      run("req", "-x509", ...CURVE, "-keyout", `${name}.key`, "-out", `${name}.pem`, "-days", "2", "-subj", `/CN=${name}`)
    }
    issue("server", "DNS:localhost,IP:127.0.0.1")
    issue("elsewhere", "DNS:elsewhere.example")
    issue("expired", "DNS:localhost", "-1")
    issue("one", "URI:spiffe://test/one")
    issue("two", "URI:spiffe://test/two")
  })
  afterAll(() => rmSync(dir, { recursive: true, force: true }))

  /** Sockets that were made, in order. */
  const watching = () => {
    const sockets: Array<tls.TLSSocket> = []
    const resumed: Array<boolean> = []
    const system = Context.get(Context.empty(), Network.Network)
    const layer = Layer.succeed(Network.Network, {
      ...system,
      connect: (to) =>
        Effect.tap(system.connect(to), (duplex) =>
          Effect.sync(() => {
            if (!(duplex instanceof tls.TLSSocket)) return
            sockets.push(duplex)
            resumed.push(duplex.isSessionReused())
          })
        )
    })
    return { sockets, resumed, layer }
  }
  const clientOf = (target: string, options: Tls.ClientOptions, network: Layer.Layer<never> = Layer.empty) =>
    Effect.map(
      Layer.build(
        Layer.fresh(Echo.client(target, { tls: options })).pipe(Layer.provide(Layer.fresh(Channels.layerDirect)), Layer.provide(network))
      ),
      (context) => Context.get(context, Echo)
    )
  /** A server that says who calls. */
  const serving = (options: Partial<Tls.ServerOptions> = {}) =>
    Effect.map(
      Layer.build(
        Server.layer({
          services: [Echo],
          host: "127.0.0.1",
          port: 0,
          tls: { cert: file("server.pem"), key: file("server.key"), ca: file("ca.pem"), ...options }
        }).pipe(
          Layer.provide(
            implement({
              unary: () =>
                Effect.gen(function* () {
                  const { identity } = yield* Call
                  return { text: identity?.commonName ?? "nobody" }
                })
            })
          )
        )
      ),
      (context) => Context.get(context, Server.Server).address
    )

  it.effect("resumes sessions when it connects again", () =>
    Effect.gen(function* () {
      const { port } = yield* serving()
      const { layer, resumed, sockets } = watching()
      const echo = yield* clientOf(`localhost:${port}`, { ca: file("ca.pem") }, layer)
      for (let i = 0; i < 4; i++) {
        yield* echo.unary({})
        assert.strictEqual(sockets.length, i + 1)
        sockets[i]!.destroy()
        yield* Effect.repeat(turn, { times: 3 })
      }
      assert.deepStrictEqual(resumed, [false, true, true, true])
    })
  )

  it.effect("takes up a renewed certificate for new connections, which resume no session of the old one; old ones go on", () =>
    Effect.gen(function* () {
      cpSync(file("one.pem"), file("mine.pem"))
      cpSync(file("one.key"), file("mine.key"))
      const { port } = yield* serving({ clientAuth: "require" })
      const { layer, resumed, sockets } = watching()
      const options: Tls.ClientOptions = { ca: file("ca.pem"), cert: file("mine.pem"), key: file("mine.key"), reload: "1 second" }
      const echo = yield* clientOf(`localhost:${port}`, options, layer)
      const who = Effect.map(echo.unary({}), ({ text }) => text)
      assert.strictEqual(yield* who, "one")
      cpSync(file("two.pem"), file("mine.pem"))
      cpSync(file("two.key"), file("mine.key"))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* who, "one")
      assert.lengthOf(sockets, 1)
      // the files are read in their own time
      let name = "one"
      while (name === "one") {
        sockets.at(-1)!.destroy()
        yield* TestClock.adjust("1 second")
        yield* Effect.repeat(turn, { times: 10 })
        name = yield* who
      }
      assert.strictEqual(name, "two")
      assert.deepStrictEqual(resumed, [false, ...resumed.slice(1, -1).map(() => true), false])
    })
  )

  it.effect("checks the name that is asked for", () =>
    Effect.gen(function* () {
      const { port } = yield* serving({ cert: file("elsewhere.pem"), key: file("elsewhere.key") })
      const echo = yield* clientOf(`localhost:${port}`, { ca: file("ca.pem"), serverName: "elsewhere.example" })
      assert.strictEqual((yield* echo.unary({})).text, "nobody")
    })
  )

  /** A server as Node has it, until the scope closes. */
  const listen = (server: net.Server): Effect.Effect<number, never, import("effect/Scope").Scope> =>
    Effect.acquireRelease(
      Effect.callback<number>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as net.AddressInfo).port)))
      }),
      () => Effect.sync(() => void server.close())
    )
  const plain = (handle: (socket: net.Socket) => void) =>
    net.createServer((socket) => {
      socket.on("error", () => {})
      handle(socket)
    })
  const pem = (name: string) => ({ cert: execFileSync("cat", [file(`${name}.pem`)]), key: execFileSync("cat", [file(`${name}.key`)]) })
  const encrypted = (name: string, options: tls.TlsOptions = {}) =>
    tls
      .createServer({ ...pem(name), ALPNProtocols: ["h2"], ...options }, (socket) => {
        socket.on("error", () => {})
        ServerConnection.make(socket, {
          onStream: (stream) => {
            answer(stream)
            return { onData: () => {}, onTrailers: () => {}, onAbort: () => {} }
          }
        })
      })
      .on("tlsClientError", () => {})
  const demanding = { requestCert: true, rejectUnauthorized: true }

  const rows: ReadonlyArray<readonly [name: string, reason: NetworkError.Reason, server: () => net.Server, says: RegExp, tls?: boolean]> = [
    ["a server that somebody unknown vouches for", "UntrustedCertificate", () => encrypted("server"), /vouches/],
    ["a certificate that has expired", "ExpiredCertificate", () => encrypted("expired"), /expired/],
    ["a certificate for another name", "WrongHost", () => encrypted("elsewhere"), /localhost/],
    ["a server without ALPN", "NotHttp2", () => tls.createServer(pem("server")), /h2/],
    ["a server of HTTP/1.1", "NotHttp2", () => encrypted("server", { ALPNProtocols: ["http/1.1"] }), /h2/],
    [
      "a server that wants a certificate",
      "ClientCertificate",
      () => encrypted("server", { ...demanding, ca: pem("ca").cert }),
      /client certificate/
    ],
    [
      "the same in TLS 1.2",
      "Handshake",
      () => encrypted("server", { ...demanding, ca: pem("ca").cert, maxVersion: "TLSv1.2" }),
      /client certificate/
    ],
    ["a server in clear text", "Handshake", () => plain((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")), /TLS/],
    [
      "a server that hangs up in the handshake",
      "Closed",
      () => plain((socket) => socket.once("data", () => socket.destroy())),
      /reset|ended|closed/
    ]
  ]
  for (const [name, reason, server, says] of rows) {
    it.effect(`${name} is ${reason}`, () =>
      Effect.gen(function* () {
        const port = yield* listen(server())
        const ca = reason === "UntrustedCertificate" ? file("other.pem") : file("ca.pem")
        const echo = yield* clientOf(`localhost:${port}`, { ca })
        const failure = yield* Effect.flip(echo.unary({}))
        assert.instanceOf(failure, KratosError.KratosError)
        assert.strictEqual(failure.code, 503)
        assert.instanceOf(failure.cause, NetworkError.ConnectError)
        assert.strictEqual(failure.cause.reason, reason, failure.message)
        assert.strictEqual(failure.reason, failure.cause.isTls ? "TLS" : "")
        assert.match(failure.message, says)
      })
    )
  }

  it.effect("a certificate of ours that Node's server does not trust is Closed: it hangs up without a word", () =>
    Effect.gen(function* () {
      run("req", "-x509", ...CURVE, "-keyout", "self.key", "-out", "self.pem", "-days", "2", "-subj", "/CN=self")
      for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
        const port = yield* listen(encrypted("server", { ...demanding, ca: pem("ca").cert, maxVersion }))
        const echo = yield* clientOf(`localhost:${port}`, { ca: file("ca.pem"), cert: file("self.pem"), key: file("self.key") })
        const failure = yield* Effect.flip(echo.unary({}))
        const { cause } = failure as KratosError.KratosError
        assert.strictEqual(cause instanceof NetworkError.ConnectError && cause.reason, "Closed", failure.message)
      }
    })
  )

  for (const [name, server] of [
    ["in the handshake", () => plain((socket) => socket.resume())],
    ["behind it", () => tls.createServer({ ...pem("server"), ALPNProtocols: ["h2"] }, (socket) => socket.on("error", () => {}).resume())]
  ] as const) {
    it.effect(`a server that stalls ${name} is TimedOut after twenty seconds, and its socket ends`, () =>
      Effect.gen(function* () {
        let accepted = 0
        let ended = 0
        const made = server()
        made.on("connection", (socket: net.Socket) => {
          accepted++
          socket.once("close", () => ended++)
        })
        const port = yield* listen(made)
        const echo = yield* clientOf(`localhost:${port}`, { ca: file("ca.pem") })
        const call = yield* Effect.forkChild(Effect.flip(echo.unary({})))
        yield* until(Effect.sync(() => accepted === 1))
        yield* Effect.repeat(turn, { times: 50 })
        yield* TestClock.adjust("19 seconds")
        assert.isUndefined(call.pollUnsafe())
        yield* TestClock.adjust("2 seconds")
        const { cause } = (yield* Fiber.join(call)) as KratosError.KratosError
        assert.strictEqual(cause instanceof NetworkError.ConnectError && cause.reason, "TimedOut")
        yield* until(Effect.sync(() => ended === 1))
      })
    )
  }
})
