/** Spans and metrics for a person at a terminal: one line of JSON for each span that ends, the metrics as a page every interval. */
import * as Prometheus from "@effect-kratos/core/metric/Prometheus"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/** A tracer that writes spans to the console when they end. */
export const tracer: Effect.Effect<Tracer.Tracer> = Effect.map(Console.Console, (console) =>
  Tracer.make({ span: (options) => new ConsoleSpan(options, (line) => console.log(line)) })
)

class ConsoleSpan extends Tracer.NativeSpan {
  private readonly write: (line: string) => void

  constructor(options: Parameters<Tracer.Tracer["span"]>[0], write: (line: string) => void) {
    super(options)
    this.write = write
  }

  override end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    const ended = this.status._tag === "Ended"
    super.end(endTime, exit)
    if (ended || !this.sampled) return
    const attributes = Object.fromEntries(
      [...this.attributes].map(([key, value]) => [key, typeof value === "bigint" ? Number(value) : value])
    )
    this.write(
      JSON.stringify({
        span: this.name,
        kind: this.kind,
        trace_id: this.traceId,
        span_id: this.spanId,
        parent_id: Option.getOrUndefined(this.parent)?.spanId,
        seconds: Number(endTime - this.status.startTime) / 1e9,
        attributes,
        error: Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause) ? String(Cause.squash(exit.cause)) : undefined
      })
    )
  }
}

/** Writes the metrics every interval, and once more at the end. */
export const metrics = (interval: Duration.Input): Layer.Layer<never> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const write = Effect.flatMap(Effect.context<never>(), (services) => Console.log(Prometheus.format(services).trimEnd()))
      yield* Effect.addFinalizer(() => write)
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(interval), write)))
    })
  )
