/** TLS on the port: ALPN both ways, clients' certificates, renewal without restart, Unix sockets. Certificates are made with openssl. */
import { Call } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { execFile, execFileSync } from "node:child_process"
import { cpSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as net from "node:net"
import * as tls from "node:tls"
import * as Channels from "../src/Channels.ts"
import * as Server from "../src/Server.ts"
import type * as Tls from "../src/Tls.ts"
import { Echo } from "./gen/test/v1/echo_effect.ts"
import { turn } from "./Harness.ts"

const openssl = (() => {
  try {
    execFileSync("openssl", ["version"])
    return true
  } catch {
    return false
  }
})()

describe.skipIf(!openssl)("TLS (needs openssl)", () => {
  let dir = ""
  const file = (name: string) => join(dir, name)
  const run = (...args: ReadonlyArray<string>) => execFileSync("openssl", args, { cwd: dir, stdio: "pipe" })
  const issue = (name: string, cn: string, san: string) => {
    run(
      "req",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.csr`,
      "-subj",
      `/CN=${cn}`,
      "-addext",
      `subjectAltName=${san}`
    )
    run(
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      "-CA",
      "ca.pem",
      "-CAkey",
      "ca.key",
      "-CAcreateserial",
      "-days",
      "2",
      "-copy_extensions",
      "copy",
      "-out",
      `${name}.pem`
    )
  }
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "tls-"))
    run(
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-keyout",
      "ca.key",
      "-out",
      "ca.pem",
      "-days",
      "2",
      "-subj",
      "/CN=test ca"
    )
    issue("server", "server one", "DNS:localhost,IP:127.0.0.1")
    issue("renewed", "server two", "DNS:localhost,IP:127.0.0.1")
    issue("client", "client one", "URI:spiffe://test/client")
    cpSync(file("server.pem"), file("live.pem"))
    cpSync(file("server.key"), file("live.key"))
  })
  afterAll(() => rmSync(dir, { recursive: true, force: true }))

  /** Says who called and over what. */
  const Who = Echo.layer({
    *unary() {
      const call = yield* Call
      return { text: `${call.transport} ${call.identity?.commonName ?? "nobody"} ${call.identity?.names.join() ?? ""}` }
    },
    old: () => Effect.succeed({}),
    serverStream: () => Effect.never as never,
    clientStream: () => Effect.succeed({}),
    bidi: () => Effect.never as never
  })
  const serve = (options: Partial<Tls.ServerOptions> = {}, unix?: string, maxConnections?: number) =>
    Layer.provide(
      Server.layer({
        services: [Echo],
        host: "127.0.0.1",
        port: 0,
        unix,
        maxConnections,
        tls: { cert: file("live.pem"), key: file("live.key"), ca: file("ca.pem"), reload: "50 millis", ...options }
      }),
      Who
    )
  const call = (target: string, options?: Tls.ClientOptions) =>
    Effect.gen(function* () {
      const echo = yield* Echo
      return yield* echo.unary({})
    }).pipe(Effect.provide(Echo.client(target, { tls: options }).pipe(Layer.provide(Channels.layerDirect)), { local: true }))
  const curl = (port: number, ...args: ReadonlyArray<string>) =>
    runProgram("curl", [
      "-s",
      "--cacert",
      file("ca.pem"),
      "-o",
      "-",
      "-w",
      " %{http_version} %{http_code}",
      ...args,
      `https://localhost:${port}/test/v1/echo`,
      "-d",
      "{}",
      "-H",
      "content-type: application/json"
    ])

  it.live("serves HTTP/2 and HTTP/1.1 by ALPN", () =>
    Effect.gen(function* () {
      const { address, endpoints } = yield* Server.Server
      assert.deepStrictEqual(
        endpoints.map((endpoint) => endpoint.scheme),
        ["https", "grpcs"]
      )
      assert.strictEqual((yield* call(`grpcs://localhost:${address.port}`, { ca: file("ca.pem") })).text, "grpc nobody ")
      assert.match(yield* curl(address.port, "--http1.1"), /"http nobody ".* 1\.1 200$/)
      assert.match(yield* curl(address.port, "--http2"), /"http nobody ".* 2 200$/)
      const error = yield* Effect.flip(call(`grpcs://localhost:${address.port}`))
      assert.strictEqual(KratosError.code(error), 503, "a server that nobody vouches for is not talked to")
      const plain = yield* Effect.flip(call(`localhost:${address.port}`))
      assert.strictEqual(KratosError.code(plain), 503, "clear text on a TLS port fails, typed")
    }).pipe(Effect.provide(serve()))
  )

  it.live("asks clients for certificates and tells the handler who they are", () =>
    Effect.gen(function* () {
      const { address } = yield* Server.Server
      const mine = { ca: file("ca.pem"), cert: file("client.pem"), key: file("client.key") }
      assert.strictEqual((yield* call(`grpcs://localhost:${address.port}`, mine)).text, "grpc client one URI:spiffe://test/client")
      assert.match(yield* curl(address.port, "--cert", file("client.pem"), "--key", file("client.key")), /http client one URI:spiffe/)
      assert.strictEqual(KratosError.code(yield* Effect.flip(call(`grpcs://localhost:${address.port}`, { ca: file("ca.pem") }))), 503)
    }).pipe(Effect.provide(serve({ clientAuth: "require" })))
  )

  it.live("takes up a renewed certificate and keeps the good one when the new one is broken", () =>
    Effect.gen(function* () {
      const refused = yield* Deferred.make<void>()
      const logs = Logger.layer([
        Logger.make(({ message }) => {
          if (String(message).includes("cannot be read again")) Deferred.doneUnsafe(refused, Effect.void)
        })
      ])
      yield* Effect.gen(function* () {
        const { address } = yield* Server.Server
        assert.strictEqual(yield* certificateOf(address.port), "server one")
        cpSync(file("renewed.pem"), file("live.pem")) // the key of another certificate: not usable yet
        yield* Deferred.await(refused)
        assert.strictEqual(yield* certificateOf(address.port), "server one")
        cpSync(file("renewed.key"), file("live.key"))
        yield* Effect.repeat(certificateOf(address.port), { until: (name) => name === "server two" })
      }).pipe(Effect.provide(Layer.provide(serve(), logs)))
    }).pipe(Effect.timeout("10 seconds"))
  )

  it.live("fails to start with a message that names the file", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Layer.build(serve({ cert: file("missing.pem") })).pipe(Effect.scoped))
      assert.include(error.message, "missing.pem")
    })
  )

  it.live("listens on a Unix socket besides", () =>
    Effect.gen(function* () {
      const socket = join(mkdtempSync(join(tmpdir(), "unix-")), "s")
      yield* Effect.gen(function* () {
        assert.strictEqual((yield* call(`unix://${socket}`)).text, "grpc nobody ")
        assert.match(yield* runProgram("curl", ["-s", "--unix-socket", socket, "http://x/livez"]), /^ok/)
      }).pipe(Effect.provide(serve({}, socket)))
    })
  )

  it.live("closes handshakes that do not come to their end, in time and when it stops", () =>
    Effect.gen(function* () {
      const stalled = (port: number) =>
        Effect.callback<void>((resume) => {
          const socket = net.connect({ port, host: "127.0.0.1" })
          socket.on("error", () => {})
          socket.resume()
          socket.once("close", () => resume(Effect.void))
        })
      yield* Effect.gen(function* () {
        const { address } = yield* Server.Server
        yield* stalled(address.port)
      }).pipe(Effect.provide(serve({ handshakeTimeout: "100 millis" })))
      const late = yield* Effect.gen(function* () {
        const { address } = yield* Server.Server
        const late = yield* Effect.forkDetach(stalled(address.port), { startImmediately: true })
        // behind it in the backlog, so it has been accepted too
        assert.strictEqual((yield* call(`grpcs://localhost:${address.port}`, { ca: file("ca.pem") })).text, "grpc nobody ")
        return late
      }).pipe(Effect.provide(serve({ handshakeTimeout: "1 hour" })))
      yield* Fiber.join(late)
    })
  )

  it.live("counts handshakes as connections, and lets the next ones wait for them", () =>
    Effect.gen(function* () {
      const { address } = yield* Server.Server
      const stalled = net.connect({ port: address.port, host: "127.0.0.1" })
      yield* Effect.callback<void>((resume) => void stalled.once("connect", () => resume(Effect.void)))
      const waiting = yield* Effect.forkChild(call(`grpcs://localhost:${address.port}`, { ca: file("ca.pem") }), { startImmediately: true })
      yield* Effect.repeat(turn, { times: 50 })
      assert.isUndefined(waiting.pollUnsafe())
      stalled.destroy()
      assert.strictEqual((yield* Fiber.join(waiting)).text, "grpc nobody ")
    }).pipe(Effect.provide(serve({}, undefined, 1)))
  )

  const certificateOf = (port: number) =>
    Effect.callback<string>((resume) => {
      const socket = tls.connect({ port, host: "localhost", rejectUnauthorized: false }, () => {
        resume(Effect.succeed(String(socket.getPeerCertificate().subject.CN)))
        socket.destroy()
      })
    })
})

/** Runs a program without blocking the server in this process. */
const runProgram = (program: string, args: ReadonlyArray<string>): Effect.Effect<string> =>
  Effect.callback((resume) => void execFile(program, [...args], (_error, stdout) => resume(Effect.succeed(stdout))))
