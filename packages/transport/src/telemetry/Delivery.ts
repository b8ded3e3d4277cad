/**
 * How batches reach a collector. Effect's exporter gives up for a minute after a failure and sends without limit to one that hangs; behind this client neither
 * happens: a bounded number of batches is on its way at a time, each has a time limit for all of its attempts, and what does not get through is dropped
 * and counted. The calls that are observed notice nothing.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import type * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"

export interface Options {
  /** As the log names it. */
  readonly signal: string
  /** For one batch with all attempts. */
  readonly timeout: Duration.Input
  /** How many batches may be on their way; another one is dropped. */
  readonly maxInFlight: number
}

/** First pause between attempts, and the longest, in milliseconds; each is cut by chance to between half and all of it. */
const FIRST_PAUSE = 500
const LONGEST_PAUSE = 5_000

/** A client that never fails: a batch that was dropped looks delivered to the exporter, which has no better use for the news. */
export const make = (inner: HttpClient.HttpClient, options: Options): Effect.Effect<HttpClient.HttpClient> =>
  Effect.map(Effect.context<never>(), (context) => {
    let inFlight = 0
    let dropped = 0
    let down = false
    const note = (why: string): Effect.Effect<void> =>
      Effect.suspend(() => {
        dropped++
        if (down) return Effect.void
        down = true
        return Effect.logWarning(`${options.signal} do not reach the collector (${why}); what does not is dropped`)
      })
    const delivered: Effect.Effect<void> = Effect.suspend(() => {
      if (!down) return Effect.void
      const lost = dropped
      down = false
      dropped = 0
      return Effect.logInfo(`${options.signal} reach the collector again; ${lost} batches were dropped`)
    })
    const attempt = (request: HttpClientRequest.HttpClientRequest, pause: number): Effect.Effect<string | undefined> =>
      inner.execute(request).pipe(
        Effect.flatMap((response) =>
          Effect.as(
            // the connection is free for the next batch when the body is read
            Effect.ignore(response.arrayBuffer),
            response.status
          )
        ),
        Effect.matchEffect({
          onFailure: (error) => again(request, pause, reasonOf(error)),
          onSuccess: (status) => {
            if (status >= 200 && status < 300) return Effect.succeed(undefined)
            return retryable.has(status) ? again(request, pause, `status ${status}`) : Effect.succeed(`status ${status}`)
          }
        })
      )
    const again = (request: HttpClientRequest.HttpClientRequest, pause: number, why: string): Effect.Effect<string | undefined> =>
      Effect.gen(function* () {
        last = why
        yield* Effect.sleep(Duration.millis(pause * (0.5 + (yield* Random.next) / 2)))
        return yield* attempt(request, Math.min(LONGEST_PAUSE, pause * 2))
      })
    let last = "no answer"
    const send = (request: HttpClientRequest.HttpClientRequest): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (inFlight >= options.maxInFlight) return note("it does not keep up")
        inFlight++
        last = "no answer"
        return attempt(request, FIRST_PAUSE).pipe(
          Effect.timeoutOrElse({
            duration: options.timeout,
            orElse: () => Effect.succeed(`${last}, for ${Duration.format(Duration.fromInputUnsafe(options.timeout))}`)
          }),
          Effect.flatMap((failure) => (failure === undefined ? delivered : note(failure))),
          Effect.ensuring(Effect.sync(() => inFlight--))
        )
      })
    return HttpClient.make((request) =>
      // with the loggers of the program that were there before those which export
      Effect.as(
        Effect.provideContext(Effect.withTracerEnabled(send(request), false), context),
        HttpClientResponse.fromWeb(request, new Response(null, { status: 200 }))
      )
    )
  })

/** What OTLP lets a client send again. */
const retryable: ReadonlySet<number> = new Set([429, 502, 503, 504])

/** Not the message: it may hold the URL, and that a password. */
const reasonOf = (error: HttpClientError.HttpClientError): string => {
  const { cause } = error.reason as { readonly cause?: unknown } // some reasons have one
  const inner = cause instanceof Error ? (cause.cause as { readonly code?: unknown } | undefined)?.code : undefined
  return typeof inner === "string" ? inner : error.reason._tag
}
