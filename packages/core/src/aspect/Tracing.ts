/**
 * A span for each call, through Effect's Tracer: the handler's own spans nest below it, and the trace crosses services in the headers of
 * `TraceHeaders`. Attributes follow OpenTelemetry's conventions for RPC.
 *
 * A span is made only when something will record it. Effect's default tracer keeps spans in memory and shows them to nobody; under it a
 * call only passes the trace on, so that services without an exporter do not break a trace in two.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import * as Aspect from "../Aspect.ts"
import { Call, type CallShape } from "../Call.ts"
import * as KratosError from "../error/KratosError.ts"
import * as Status from "../error/Status.ts"
import * as TraceHeaders from "./TraceHeaders.ts"

export interface Options {
  /** The name of a call's span. Default: `package.Service/Method`, OpenTelemetry's; `nameKratos` has Kratos' leading slash. */
  readonly name?: ((call: CallShape) => string) | undefined
  /** More attributes, known before the call. */
  readonly attributes?: ((call: CallShape) => Readonly<Record<string, unknown>>) | undefined
}

const nameDefault = (call: CallShape): string => `${call.service}/${call.method}`

/** `/package.Service/Method`, as Kratos names spans. */
export const nameKratos = (call: CallShape): string => call.operation

/** Continues the caller's trace. */
export const makeServer = (options: Options = {}): Aspect.Aspect => {
  const wrap: Aspect.Aspect = (effect) =>
    Effect.withFiber((fiber) => {
      const call = Context.getUnsafe(fiber.context, Call)
      const passed = passOn(call, fiber.context)
      if (passed !== undefined) return Effect.provideContext(effect, passed)
      const parent = TraceHeaders.extract(call.request)
      const carried = TraceHeaders.extractCarried(call.request, parent !== undefined)
      return spanned(call, "server", parent, options, () => Effect.provideService(effect, TraceHeaders.Carried, carried))
    })
  return Aspect.contextual(wrap, passOn)
}

/** The caller's trace for whom the call calls, where no span is made; undefined where one is. */
const passOn: Aspect.ContextOf = (call, services) => {
  if (records(services)) return undefined
  const parent = TraceHeaders.extract(call.request)
  const carried = TraceHeaders.extractCarried(call.request, parent !== undefined)
  let context = services
  if (carried !== Context.get(services, TraceHeaders.Carried)) context = Context.add(context, TraceHeaders.Carried, carried)
  return parent === undefined ? context : Context.add(context, Tracer.ParentSpan, parent)
}

/** Makes a child of the current span and names it to the server. */
export const makeClient = (options: Options = {}): Aspect.Aspect => {
  return (effect) =>
    Effect.withFiber((fiber) => {
      const call = Context.getUnsafe(fiber.context, Call)
      const carried = fiber.getRef(TraceHeaders.Carried)
      if (records(fiber.context)) {
        return spanned(call, "client", undefined, options, (span) => {
          TraceHeaders.inject(call.request, span)
          TraceHeaders.injectCarried(call.request, carried, true)
          return effect
        })
      }
      const remote = nearestRemote(Context.getOrUndefined(fiber.context, Tracer.ParentSpan))
      if (remote !== undefined) TraceHeaders.inject(call.request, remote)
      TraceHeaders.injectCarried(call.request, carried, remote !== undefined)
      return effect
    })
}

export const server: Aspect.Aspect = makeServer()

export const client: Aspect.Aspect = makeClient()

const records = (services: Context.Context<never>): boolean =>
  Context.get(services, Tracer.Tracer) !== Tracer.nativeTracer && Context.get(services, References.TracerEnabled)

/** The closest ancestor that some other process records; spans between it and us exist in memory only. */
const nearestRemote = (span: Tracer.AnySpan | undefined): Tracer.ExternalSpan | undefined => {
  let current = span
  while (current?._tag === "Span") current = Option.getOrUndefined(current.parent)
  return current === undefined || Context.get(current.annotations, Tracer.DisablePropagation) ? undefined : current
}

const spanned = <A, E, R>(
  call: CallShape,
  kind: "server" | "client",
  parent: Tracer.AnySpan | undefined,
  options: Options,
  inside: (span: Tracer.Span) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.useSpan(
    (options.name ?? nameDefault)(call),
    // a server's span has no parent in this process, even if the call was made in it
    {
      kind,
      ...(parent === undefined ? { root: kind === "server" } : { parent }),
      attributes: { ...attributes(call), ...options.attributes?.(call) }
    },
    (span) =>
      Effect.onExit(Effect.withParentSpan(inside(span), span, { captureStackTrace: false }), (exit) => {
        finish(span, call, exit)
        return Effect.void
      })
  ) as Effect.Effect<A, E, R> // `withParentSpan` takes ParentSpan out of R, where a call has none

const attributes = (call: CallShape): Record<string, unknown> => {
  const all: Record<string, unknown> = { "rpc.system": system(call.transport), "rpc.service": call.service, "rpc.method": call.method }
  if (call.pathTemplate !== undefined) all["http.route"] = call.pathTemplate
  Object.assign(all, address("server", call.endpoint))
  if (call.side === "server") {
    Object.assign(all, address("client", call.peer))
    const caller = call.request.get("x-md-service-name")?.[0]
    if (caller !== undefined) all["peer.service"] = caller
  }
  return all
}

const system = (transport: string): string => (transport === "grpc-web" ? "grpc" : transport === "connect" ? "connect_rpc" : transport)

/** `host:port`, `[v6]:port` or a target; one without an authority (`discovery:///name`) is the name that it resolves. */
const address = (prefix: string, text: string): Record<string, unknown> => {
  const target = text.replace(/^[a-z][a-z0-9+.-]*:\/{2,3}/i, "").split("/", 1)[0]!
  const [, host = "", port] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(target) ?? []
  if (host === "") return {}
  const bare = host.replace(/^\[|\]$/g, "")
  return port === undefined ? { [`${prefix}.address`]: bare } : { [`${prefix}.address`]: bare, [`${prefix}.port`]: Number(port) }
}

const finish = (span: Tracer.Span, call: CallShape, exit: Exit.Exit<unknown, unknown>): void => {
  const status = KratosError.statusFromExit(exit)
  if (system(call.transport) === "grpc")
    span.attribute("rpc.grpc.status_code", Exit.isSuccess(exit) ? Status.Grpc.OK : Status.grpcCode(status))
  else span.attribute("http.response.status_code", status.code)
  if (Exit.isFailure(exit)) span.attribute("error.type", status.reason === "" ? String(status.code) : status.reason)
  // the node that a client's call went to is known only now
  if (call.side === "client") for (const [key, value] of Object.entries(address("network.peer", call.peer))) span.attribute(key, value)
}
