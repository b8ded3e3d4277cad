/**
 * Fields on every line: who logs (`service.id`, `service.name`, `service.version`) and in which span (`trace_id`, `span_id`), as Kratos puts them there with
 * `log.With`. The identity is that of the app the line's fiber works for, else that of the program's app.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Tracer from "effect/Tracer"
import { AppInfo, Lifecycle } from "../Lifecycle.ts"
import * as Decorate from "./decorate.ts"

export interface Options {
  /** More fields, made for each line; what it throws costs the line these fields. */
  readonly fields?: ((line: Decorate.Line) => Readonly<Record<string, unknown>>) | undefined
  /** `v2` names the span `trace.id` and `span.id`, as Kratos v2's template does. Default `v3`. */
  readonly names?: "v2" | "v3" | undefined
}

/** Adds the fields in front of a line's own, which win over them. */
export const layer = (options: Options = {}): Layer.Layer<never> =>
  Layer.effect(
    Logger.CurrentLoggers,
    Effect.flatMap(Lifecycle, (lifecycle) => {
      const [trace, span] = options.names === "v2" ? ["trace.id", "span.id"] : ["trace_id", "span_id"]
      return Decorate.loggers((line) => {
        const own = line.fiber.getRef(AppInfo)
        const { id, name, version } = own.id === "" && own.name === "unknown" ? lifecycle.infoUnsafe() : own
        const fields: Record<string, unknown> = {}
        if (id !== "") fields["service.id"] = id
        if (name !== "unknown") fields["service.name"] = name
        if (version !== "") fields["service.version"] = version
        const around = Context.getOrUndefined(line.fiber.context, Tracer.ParentSpan)
        if (around !== undefined) {
          fields[trace!] = around.traceId
          fields[span!] = around.spanId
        }
        try {
          if (options.fields !== undefined) Object.assign(fields, options.fields(line))
        } catch {
          // a line without them says more than none
        }
        return Decorate.withAnnotations(line, { ...fields, ...Decorate.annotations(line) })
      })
    })
  ).pipe(Layer.provide(Lifecycle.layer))
