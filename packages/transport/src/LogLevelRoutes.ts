/**
 * The level of the log over HTTP: `GET` tells it, `PUT` with `{"level":"Debug"}` sets it, with `"seconds": 300` for that long. Routes for
 * `Server.layer({ routes })`; whoever reaches them can make the program talk, so `authorize` has to say who may.
 */
import { LiveLevel, parse } from "@effect-kratos/core/log/LiveLevel"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

export interface Options {
  /** Default `/log-level`. */
  readonly path?: HttpRouter.PathInput | undefined
  /** Whether a request may read and set the level: 403 unless it is true. */
  readonly authorize: (request: HttpServerRequest.HttpServerRequest) => Effect.Effect<boolean>
}

/** A day: a level for debugging that is forgotten fills disks. */
const MAX_SECONDS = 86_400

const Body = Schema.Struct({ level: Schema.String, seconds: Schema.optionalKey(Schema.Finite) })

export const routes = ({ authorize, path = "/log-level" }: Options): Layer.Layer<never, never, HttpRouter.HttpRouter | LiveLevel> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const live = yield* LiveLevel
      const router = yield* HttpRouter.HttpRouter
      const tell = Effect.flatMap(live.get, (level) => HttpServerResponse.json({ level }))
      const refuse = (status: number, message: string) =>
        HttpServerResponse.json({ code: status, reason: "", message, metadata: {} }, { status })
      const set = Effect.gen(function* () {
        const { level: name, seconds } = yield* HttpServerRequest.schemaBodyJson(Body)
        const level = parse(name)
        if (level === undefined) return yield* refuse(400, "level is one of All, Trace, Debug, Info, Warn, Error, Fatal, None")
        if (seconds !== undefined && !(seconds > 0 && seconds <= MAX_SECONDS))
          return yield* refuse(400, `seconds is between 0 and ${MAX_SECONDS}`)
        yield* seconds === undefined ? live.set(level) : live.setFor(level, Duration.seconds(seconds))
        yield* Effect.logWarning(
          seconds === undefined ? `the log level is ${level} now` : `the log level is ${level} for ${seconds} seconds`
        )
        return yield* tell
      }).pipe(Effect.catch(() => refuse(400, 'the body is {"level":"Debug"}, with "seconds" if it is for a while')))
      const guarded = <E>(effect: Effect.Effect<HttpServerResponse.HttpServerResponse, E, HttpServerRequest.HttpServerRequest>) =>
        Effect.gen(function* () {
          const request = yield* HttpServerRequest.HttpServerRequest
          return (yield* authorize(request)) ? yield* effect : yield* refuse(403, "not allowed")
        }).pipe(Effect.orDie)
      yield* router.add("GET", path, guarded(tell))
      yield* router.add("PUT", path, guarded(set))
    })
  )
