/**
 * Health: `grpc.health.v1.Health` with Check, List and Watch, and the probes `/livez` (the process answers) and `/readyz` (it takes traffic).
 * Ready means: the app has started, has not begun to stop, and every check of the `Lifecycle` holds. A server without an app is ready at once.
 */
import type { MessageInitShape } from "@bufbuild/protobuf"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Lifecycle } from "@effect-kratos/core/Lifecycle"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import {
  Health as HealthDesc,
  HealthCheckResponse_ServingStatus as Status,
  type HealthCheckResponseSchema
} from "./gen/grpc/health/v1/health_pb.ts"
import type { HttpExchange } from "./http/HttpExchange.ts"
import * as Implementation from "./Implementation.ts"
import * as Service from "./Service.ts"

/** The service `grpc.health.v1.Health`, to ask other servers. */
export class Health extends Service.make<Health>()(HealthDesc) {}

/** How often a watch looks at the readiness checks; changes of the app's phase are told at once. */
const CHECK_INTERVAL = "5 seconds"

type Response = MessageInitShape<typeof HealthCheckResponseSchema>

/**
 * The handlers for a server of the named services; the empty name means the server as a whole. Watches end when the app begins to stop, or when
 * `closing` completes for a server without an app: they would hold up the drain.
 */
export const make = Effect.fnUntraced(function* (services: ReadonlyArray<string>, closing: Effect.Effect<void> = Effect.never) {
  const known = new Set(["", ...services])
  const lifecycle = yield* Lifecycle
  const ready = yield* isReady
  const current: Effect.Effect<Response> = Effect.map(ready, (serving) => ({ status: serving ? Status.SERVING : Status.NOT_SERVING }))
  const phases = lifecycle.phases.pipe(
    Stream.takeUntil((phase) => phase === "stopping"),
    Stream.interruptWhen(closing)
  )
  const changes: Stream.Stream<Response> = Stream.merge(phases, Stream.tick(CHECK_INTERVAL), { haltStrategy: "left" }).pipe(
    Stream.mapEffect(() => current),
    Stream.changesWith((a, b) => a.status === b.status)
  )
  return Implementation.of(HealthDesc, {
    check: ({ service }: { readonly service: string }) =>
      known.has(service) ? current : Effect.fail(KratosError.notFound("", `unknown service ${JSON.stringify(service.slice(0, 256))}`)),
    list: () => Effect.map(current, (status) => ({ statuses: Object.fromEntries([...known].map((name) => [name, status])) })),
    watch: ({ service }: { readonly service: string }) =>
      known.has(service) ? changes : Stream.concat(Stream.succeed<Response>({ status: Status.SERVICE_UNKNOWN }), Stream.drain(phases))
  })
})

const isReady: Effect.Effect<Effect.Effect<boolean>, never, Lifecycle> = Effect.map(Lifecycle, (lifecycle) =>
  Effect.suspend(() =>
    // without an app nobody says "serving"
    lifecycle.phaseUnsafe() === "starting" && lifecycle.infoUnsafe().id === "" ? Effect.succeed(true) : lifecycle.ready
  )
)

const TEXT = [
  ["content-type", "text/plain; charset=utf-8"],
  ["cache-control", "no-store"]
] as const

/** Answers the probes; false for any other exchange. */
export const probes: Effect.Effect<(exchange: HttpExchange) => boolean, never, Lifecycle> = Effect.gen(function* () {
  const lifecycle = yield* Lifecycle
  const ready = yield* isReady
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const respond = (exchange: HttpExchange, status: number, text: string): void => {
    const body = Buffer.from(text)
    exchange.respond(status, [...TEXT, ["content-length", String(body.length)]], body)
  }
  const readyz = (exchange: HttpExchange): Effect.Effect<void> =>
    Effect.gen(function* () {
      const details = (yield* lifecycle.details).map(({ name, text }) => `${name}: ${text}\n`).join("")
      if (yield* ready) return respond(exchange, 200, `ok\n${details}`)
      const failed = (yield* lifecycle.checks).filter((check) => !check.ready).map((check) => `${check.name}: not ready\n`)
      const step = yield* lifecycle.step
      respond(exchange, 503, `${lifecycle.phaseUnsafe()}${step === undefined ? "" : `: ${step}`}\n${failed.join("")}${details}`)
    })
  return (exchange) => {
    if (exchange.method !== "GET" && exchange.method !== "HEAD") return false
    if (exchange.target === "/livez") respond(exchange, 200, "ok\n")
    else if (exchange.target === "/readyz") fork(readyz(exchange))
    else return false
    return true
  }
})
