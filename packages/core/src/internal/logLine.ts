/**
 * Writes a line of the log where no fiber runs, as in an observer. Loggers ask the fiber of a line for what belongs to it; to run one for each line would cost
 * more than the line itself, and a scheduler could make it wait. So the line comes with a fiber that has nothing to run.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as Metric from "effect/Metric"
import * as Pipeable from "effect/Pipeable"
import * as References from "effect/References"
import * as Scheduler from "effect/Scheduler"
import * as Tracer from "effect/Tracer"

/** Hands the line to the loggers of `services`, whatever its level: whoever has built the fields has asked. `fields` take the place of the annotations. */
export const logLine = (
  services: Context.Context<never>,
  logLevel: LogLevel.Severity,
  text: string,
  fields: Readonly<Record<string, unknown>>,
  cause: Cause.Cause<unknown> = Cause.empty
): void => {
  const loggers = Context.get(services, Logger.CurrentLoggers)
  if (loggers.size === 0) return
  const fiber = new LineFiber(Context.add(services, References.CurrentLogAnnotations, fields))
  const date = new Date(Context.get(services, Clock.Clock).currentTimeMillisUnsafe())
  for (const logger of loggers) {
    try {
      logger.log({ message: [text], logLevel, cause, fiber, date })
    } catch {
      // as in a fiber of its own: a logger that throws costs its line, and not the call
    }
  }
}

/** A fiber that has ended. */
class LineFiber extends Pipeable.Class implements Fiber.Fiber<void> {
  readonly id = 0
  readonly currentOpCount = 0
  context: Context.Context<never>

  constructor(context: Context.Context<never>) {
    super()
    this.context = context
  }

  get "~effect/Fiber"(): Fiber.Fiber.Variance<void, never> {
    return variance
  }

  setContext(context: Context.Context<never>): void {
    this.context = context
  }

  getRef<A>(ref: Context.Reference<A>): A {
    return Context.get(this.context, ref)
  }

  get cache(): Fiber.Fiber.Cache {
    return new LineCache(this.context)
  }

  get currentDispatcher(): Scheduler.SchedulerDispatcher {
    return Context.get(this.context, Scheduler.Scheduler).makeDispatcher()
  }

  addObserver(observe: (exit: Exit.Exit<void>) => void): () => void {
    observe(Exit.void)
    return () => {}
  }

  interruptUnsafe(): void {}

  pollUnsafe(): Exit.Exit<void> {
    return Exit.void
  }
}

const variance: Fiber.Fiber.Variance<void, never> = { _A: (a) => a, _E: (e) => e }

/** What a fiber keeps at hand of its context; here it is looked up when it is asked for, since hardly any of it is. */
class LineCache implements Fiber.Fiber.Cache {
  private readonly context: Context.Context<never>

  constructor(context: Context.Context<never>) {
    this.context = context
  }

  get scheduler() {
    return Context.get(this.context, Scheduler.Scheduler)
  }
  get tracer() {
    return Context.getOrUndefined(this.context, Tracer.Tracer)
  }
  get tracerContext() {
    return this.tracer?.context
  }
  get tracerEnabled() {
    return Context.get(this.context, References.TracerEnabled)
  }
  get span() {
    return Context.getOrUndefined(this.context, Tracer.ParentSpan)
  }
  get logLevel() {
    return Context.get(this.context, References.CurrentLogLevel)
  }
  get minimumLogLevel() {
    return Context.get(this.context, References.MinimumLogLevel)
  }
  get stackFrame() {
    return Context.get(this.context, References.CurrentStackFrame)
  }
  get runtimeMetrics() {
    return Context.get(this.context, Metric.FiberRuntimeMetrics)
  }
  get maxOpsBeforeYield() {
    return Context.get(this.context, Scheduler.MaxOpsBeforeYield)
  }
  get preventYield() {
    return Context.get(this.context, Scheduler.PreventSchedulerYield)
  }
}
