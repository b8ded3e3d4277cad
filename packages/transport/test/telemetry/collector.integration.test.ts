/** A server and a client of all four kinds, with what they tell a real OpenTelemetry Collector, in both forms of OTLP. */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as Logging from "@effect-kratos/core/aspect/Logging"
import * as Metrics from "@effect-kratos/core/aspect/Metrics"
import * as Recovery from "@effect-kratos/core/aspect/Recovery"
import * as Tracing from "@effect-kratos/core/aspect/Tracing"
import { Lifecycle } from "@effect-kratos/core/Lifecycle"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { homedir, tmpdir } from "node:os"
import { join as path } from "node:path"
import * as Telemetry from "../../src/Telemetry.ts"
import { join, turn } from "../Harness.ts"

const cache = process.env["XDG_CACHE_HOME"] ?? path(homedir(), ".cache")
const program = path(cache, "effect-kratos/interop/go/otelcol")

/** Starts a collector that writes all it gets to its standard error, at a port that the system chooses. */
const collector = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly text: () => string; readonly child: ChildProcess; readonly dir: string }>((resume) => {
    const dir = mkdtempSync(path(tmpdir(), "otelcol-"))
    const config = path(dir, "config.yaml")
    writeFileSync(
      config,
      JSON.stringify({
        receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:0" } } } },
        exporters: { debug: { verbosity: "detailed", sampling_initial: 100_000 } },
        service: {
          telemetry: { metrics: { level: "none" } },
          pipelines: Object.fromEntries(
            ["traces", "metrics", "logs"].map((signal) => [signal, { receivers: ["otlp"], exporters: ["debug"] }])
          )
        }
      })
    )
    const child = spawn(program, ["--config", config], { stdio: ["ignore", "pipe", "pipe"] })
    let text = ""
    let started = false
    const read = (chunk: Buffer) => {
      text += chunk.toString()
      const [, port] = /Starting HTTP server.*"endpoint": "(?:127\.0\.0\.1|\[::\]):(\d+)"/.exec(text) ?? []
      if (port === undefined || started) return
      started = true
      resume(Effect.succeed({ port: Number(port), text: () => text, child, dir }))
    }
    child.stdout.on("data", read)
    child.stderr.on("data", read)
    child.once("exit", (code) => resume(Effect.die(new Error(`the collector ended with ${code}: ${text}`))))
  }),
  ({ child, dir }) =>
    Effect.callback<void>((resume) => {
      child.removeAllListeners("exit")
      const ended = () => {
        rmSync(dir, { recursive: true, force: true })
        resume(Effect.void)
      }
      if (child.exitCode !== null || child.signalCode !== null) return ended()
      child.once("exit", ended)
      child.kill("SIGKILL")
    })
)

const secret = "hunter2"

/** One call of each kind, one that fails and one that breaks, with telemetry around; done when everything was sent. */
const observed = (env: Readonly<Record<string, string>>, lines: Array<string> = []) =>
  Effect.gen(function* () {
    yield* (yield* Lifecycle).identify({ id: "i-1", name: "echo", version: "1.2.3", metadata: {}, endpoints: [] })
    const aspects = Aspect.compose(Tracing.server, Metrics.server, Logging.server, Recovery.server)
    const client = { aspects: Aspect.compose(Tracing.client, Metrics.client, Logging.client) }
    const { echo } = yield* join({ aspects, client })
    const request = { text: secret, echoMetadata: ["authorization"] }
    yield* echo.unary(request)
    yield* echo.clientStream(Stream.make(request))
    yield* Stream.runDrain(echo.serverStream({ ...request, count: 3 }))
    yield* Stream.runDrain(echo.bidi(Stream.make(request)))
    yield* Effect.ignore(echo.unary({ failReason: "THING_NOT_FOUND" }))
    yield* Effect.ignore(echo.unary({ failReason: "bug" }))
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Telemetry.layer().pipe(
        Layer.provideMerge(Lifecycle.layer),
        Layer.provide([
          ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)),
          Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
        ])
      )
    ),
    Effect.provideService(Metric.MetricRegistry, new Map())
  )

/** Waits until the collector has written what was sent, which it does before it answers or right after. */
const says = (text: () => string, pattern: RegExp): Effect.Effect<void> =>
  Effect.suspend(() => (pattern.test(text()) ? Effect.void : Effect.andThen(turn, says(text, pattern))))

describe.skipIf(!existsSync(program))("telemetry at an OpenTelemetry Collector (needs otelcol)", () => {
  for (const protocol of ["http/protobuf", "http/json"]) {
    it.live(
      `arrives over ${protocol}`,
      () =>
        Effect.gen(function* () {
          const { port, text } = yield* collector
          yield* observed({
            OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
            OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
            OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
            OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test"
          })
          for (const title of ["ResourceSpans #0", "ResourceMetrics #0", "ResourceLog #0"]) yield* says(text, new RegExp(title))
          const all = text()
          for (const attribute of ["service.name: Str(echo)", "service.version: Str(1.2.3)", "service.instance.id: Str(i-1)"]) {
            assert.isAtLeast(all.split(attribute).length - 1, 3, attribute)
          }
          assert.include(all, "deployment.environment.name: Str(test)")
          for (const method of ["Unary", "ClientStream", "ServerStream", "Bidi"]) {
            assert.isAtLeast(all.split(`Name           : test.v1.Echo/${method}\n`).length - 1, 2, method)
          }
          assert.include(all, "Kind           : Server")
          assert.include(all, "Kind           : Client")
          for (const name of ["rpc.server.call.duration", "rpc.client.call.duration"]) {
            assert.match(
              all,
              new RegExp(`-> Name: ${name.replaceAll(".", "\\.")}\\n\\s+-> Description: .*\\n\\s+-> Unit: s\\n\\s+-> DataType: Histogram`)
            )
          }
          assert.notInclude(all, "-> unit: Str(s)")
          assert.include(all, "rpc.response.status_code: Str(NOT_FOUND)")
          assert.include(all, "Body: Str(server request)")
          assert.include(all, "exception.stacktrace")
          assert.notInclude(all, secret)
          // each trace has its server's span below its client's
          const spans = [...all.matchAll(/Trace ID\s+: (\w+)\n\s+Parent ID\s+: (\w*)\n\s+ID\s+: (\w+)\n\s+Name\s+: test/g)]
          const clients = new Set(spans.filter(([, , parent]) => parent === "").map(([, trace, , id]) => `${trace} ${id}`))
          const servers = spans.filter(([, , parent]) => parent !== "")
          assert.lengthOf(servers, 6)
          assert.isTrue(servers.every(([, trace, parent]) => clients.has(`${trace} ${parent}`)))
          // log lines belong to the span in which they were written
          assert.match(all, /Body: Str\(server request\)[\s\S]*?Trace ID: \w{32}\n\s*Span ID: \w{16}/)
        }).pipe(Effect.scoped),
      60_000
    )
  }

  it.live(
    "may be gone: calls do not notice, and the stop has an end",
    () =>
      Effect.gen(function* () {
        const { child, port } = yield* collector
        child.removeAllListeners("exit")
        child.kill("SIGKILL")
        const lines: Array<string> = []
        const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_EXPORTER_OTLP_TIMEOUT: "200" }
        yield* observed(env, lines)
        assert.isTrue(
          lines.some((line) => line.includes("spans do not reach the collector (ECONNREFUSED")),
          lines.join("\n")
        )
      }).pipe(Effect.scoped),
    60_000
  )
})
