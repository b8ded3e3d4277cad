/**
 * One log line for each call, with Kratos' fields: `kind component operation args code reason latency`, and `error` with the cause when
 * the call failed. Lines go through Effect's Logger as annotations. Nothing is built for a line whose level is not logged.
 *
 * Requests may hold secrets: `args` is absent unless `redact` says what of a request may be written.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import * as Aspect from "../Aspect.ts"
import type { CallShape, Side } from "../Call.ts"
import * as KratosError from "../error/KratosError.ts"
import type { Status } from "../error/Status.ts"

export interface Options {
  /** The level of a call's line by its status (code 200: success, 499: interrupted). Default: `levelPlain`. */
  readonly level?: ((status: Status, call: CallShape) => LogLevel.Severity) | undefined
  /** What of the request message is logged as `args`. Default: nothing. */
  readonly redact?: ((message: unknown, call: CallShape) => unknown) | undefined
}

/** Kratos' levels: Error for every failed call, else Info. A cancelled call is no failure of anybody's. */
export const levelPlain = ({ code }: Status): LogLevel.Severity => (code === 200 || code === 499 ? "Info" : "Error")

/** Levels for alerts: what the caller did wrong (4xx) is Warn, so that Error means that something here is broken. */
export const levelByClass = ({ code }: Status): LogLevel.Severity => (code >= 500 ? "Error" : code >= 400 && code !== 499 ? "Warn" : "Info")

const on =
  (side: Side) =>
  (options: Options = {}): Aspect.Aspect => {
    const { level = levelPlain, redact } = options
    const message = `${side} request`
    return Aspect.observe({
      start: (_, services) => Context.get(services, Clock.Clock).monotonicTimeNanosUnsafe(),
      end: (call, exit, started, services) => {
        const status = KratosError.statusFromExit(exit)
        const severity = level(status, call)
        if (LogLevel.isGreaterThan(Context.get(services, References.MinimumLogLevel), severity)) return
        const elapsed = Context.get(services, Clock.Clock).monotonicTimeNanosUnsafe() - started
        const fields: Record<string, unknown> = {
          ...Context.get(services, References.CurrentLogAnnotations),
          kind: side,
          component: call.transport,
          operation: call.operation
        }
        if (redact !== undefined) fields["args"] = redacted(redact, call)
        fields["code"] = status.code
        fields["reason"] = status.reason
        fields["latency"] = Number(elapsed) / 1e9
        const cause = Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause) ? exit.cause : undefined
        if (cause !== undefined) fields["error"] = KratosError.format(Cause.squash(cause))
        // An observer runs outside of fibers; loggers want one, which ends before `runForkWith` returns.
        Effect.runForkWith(Context.add(services, References.CurrentLogAnnotations, fields))(
          cause === undefined ? Effect.logWithLevel(severity)(message) : Effect.logWithLevel(severity)(message, cause)
        )
      }
    })
  }

/** Logs `server request`; `latency` in seconds. */
export const makeServer: (options?: Options) => Aspect.Aspect = on("server")

/** Logs `client request`; `latency` in seconds. */
export const makeClient: (options?: Options) => Aspect.Aspect = on("client")

export const server: Aspect.Aspect = makeServer()

export const client: Aspect.Aspect = makeClient()

const redacted = (redact: (message: unknown, call: CallShape) => unknown, call: CallShape): unknown => {
  try {
    return redact(call.message, call)
  } catch {
    // the line matters more than its arguments, and the error's text may quote them
    return "<redact failed>"
  }
}
