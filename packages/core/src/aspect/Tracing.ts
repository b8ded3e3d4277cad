/**
 * A span for each call, through Effect's Tracer: the handler's own spans nest below it, and the trace crosses services in the headers of
 * `TraceHeaders`. Attributes follow OpenTelemetry's conventions for RPC, and those for HTTP where the wire is REST. A client names its app in
 * `x-md-service-name`, as Kratos does.
 *
 * A span is made only when something will record it. Effect's default tracer keeps spans in memory and shows them to nobody; under it a
 * call only passes the trace on, so that services without an exporter do not break a trace in two.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import * as Aspect from "../Aspect.ts"
import { Call, type CallShape } from "../Call.ts"
import * as KratosError from "../error/KratosError.ts"
import { AppInfo } from "../Lifecycle.ts"
import * as Conventions from "./Conventions.ts"
import { serviceNameKey } from "./MetadataPropagation.ts"
import * as TraceHeaders from "./TraceHeaders.ts"

export interface Options {
  /** The name of a call's span. Default: `package.Service/Method`, OpenTelemetry's; `nameKratos` has Kratos' leading slash. */
  readonly name?: ((call: CallShape) => string) | undefined
  /** More attributes, known before the call. */
  readonly attributes?: ((call: CallShape) => Readonly<Record<string, unknown>>) | undefined
}

export interface ServerOptions extends Options {
  /**
   * What a call becomes that names its caller's span: a `child` in the caller's trace, or a trace of its own that is `linked` to that span, with the
   * caller's decision on sampling. Default: children. `linkStreams` links what streams, so that a subscription that lasts for days does not
   * make one trace of all that happens in it.
   */
  readonly join?: ((call: CallShape) => "child" | "linked") | undefined
}

/** `/package.Service/Method`, as Kratos names spans. */
export const nameKratos = (call: CallShape): string => call.operation

/** Streams have a trace of their own. */
export const linkStreams = (call: CallShape): "child" | "linked" => (call.kind === "unary" ? "child" : "linked")

/** Continues the caller's trace. */
export const makeServer = (options: ServerOptions = {}): Aspect.Aspect => {
  const { join } = options
  const begin = begins("server", options)
  const enter = (call: CallShape, services: Context.Context<never>): Context.Context<never> => {
    const propagators = Context.get(services, TraceHeaders.Propagators)
    const parent = TraceHeaders.extract(call.request, propagators)
    const carried = TraceHeaders.extractCarried(call.request, parent !== undefined, propagators)
    const context =
      carried === Context.get(services, TraceHeaders.Carried) ? services : Context.add(services, TraceHeaders.Carried, carried)
    if (!records(services)) return parent === undefined ? context : Context.add(context, Tracer.ParentSpan, parent)
    const isLinked = parent !== undefined && join !== undefined && join(call) === "linked"
    return Context.add(
      context,
      Tracer.ParentSpan,
      isLinked ? begin(call, services, undefined, parent) : begin(call, services, parent, undefined)
    )
  }
  return Aspect.contextual(wrap(enter), enter, leave)
}

/** Makes a child of the current span and names it to the server. */
export const makeClient = (options: Options = {}): Aspect.Aspect => {
  const begin = begins("client", options)
  return wrap((call, services) => {
    const propagators = Context.get(services, TraceHeaders.Propagators)
    const carried = Context.get(services, TraceHeaders.Carried)
    const around = Context.getOrUndefined(services, Tracer.ParentSpan)
    const { name } = Context.get(services, AppInfo)
    if (name !== "unknown" && name !== "" && !call.request.has(serviceNameKey)) call.request.set(serviceNameKey, [name])
    if (records(services)) {
      const span = begin(call, services, around === undefined || isHidden(around) ? undefined : around, undefined)
      TraceHeaders.inject(call.request, span, propagators)
      TraceHeaders.injectCarried(call.request, carried, true, propagators)
      return Context.add(services, Tracer.ParentSpan, span)
    }
    const remote = nearestRemote(around)
    if (remote !== undefined) TraceHeaders.inject(call.request, remote, propagators)
    TraceHeaders.injectCarried(call.request, carried, remote !== undefined, propagators)
    return services
  })
}

const records = (services: Context.Context<never>): boolean =>
  Context.get(services, Tracer.Tracer) !== Tracer.nativeTracer && Context.get(services, References.TracerEnabled)

const isHidden = (span: Tracer.AnySpan): boolean => Context.get(span.annotations, Tracer.DisablePropagation)

/** The closest ancestor that some other process records; spans between it and us exist in memory only. */
const nearestRemote = (span: Tracer.AnySpan | undefined): Tracer.ExternalSpan | undefined => {
  let current = span
  while (current?._tag === "Span") current = Option.getOrUndefined(current.parent)
  return current === undefined || isHidden(current) ? undefined : current
}

/** The call inside of the context that `enter` chooses. */
const wrap =
  (enter: (call: CallShape, services: Context.Context<never>) => Context.Context<never>): Aspect.Aspect =>
  (effect) =>
    Effect.withFiber((fiber) => {
      const call = Context.getUnsafe(fiber.context, Call)
      const services = enter(call, fiber.context)
      const inside = Effect.provideContext(effect, services)
      if (!records(services)) return inside
      return Effect.onExit(inside, (exit) => {
        leave(call, exit, services)
        return Effect.void
      })
    })

/** Ends the span that `enter` has put into the context. */
const leave = (call: CallShape, exit: Exit.Exit<unknown, unknown>, services: Context.Context<never>): void => {
  if (!records(services)) return
  const span = Context.getUnsafe(services, Tracer.ParentSpan)
  if (span._tag !== "Span") return
  if (span.sampled) finish(span, call, exit)
  span.end(now(services), exit)
}

const now = (services: Context.Context<never>): bigint =>
  Context.get(services, References.TracerTimingEnabled) ? Context.get(services, Clock.Clock).currentTimeNanosUnsafe() : 0n

/** How many names of methods are kept; contracts have fewer. */
const MAX_METHODS = 1000

/** How many addresses are kept. */
const MAX_ADDRESSES = 1000

type Begin = (
  call: CallShape,
  services: Context.Context<never>,
  parent: Tracer.AnySpan | undefined,
  linked: Tracer.AnySpan | undefined
) => Tracer.Span

/** A span as `Effect.useSpan` makes it, without the combinators around. A server's has no parent in this process, even if the call was made in it. */
const begins = (kind: "server" | "client", options: Options): Begin => {
  const { attributes, name } = options
  const methods = new Map<string, string>()
  const methodOf = (call: CallShape): string => {
    let method = methods.get(call.operation)
    if (method === undefined) {
      method = Conventions.method(call)
      if (methods.size < MAX_METHODS) methods.set(call.operation, method)
    }
    return method
  }
  const addressOf = addresses()
  return (call, services, parent, linked) => {
    const links = Context.get(services, References.TracerSpanLinks)
    const before = linked ?? parent
    const method = methodOf(call)
    const span = Context.get(services, Tracer.Tracer).span({
      name: name === undefined ? method : name(call),
      parent: parent === undefined ? Option.none() : Option.some(parent),
      annotations: Context.empty(),
      links: linked === undefined ? [...links] : [...links, { span: linked, attributes: {} }],
      startTime: now(services),
      kind,
      root: parent === undefined && kind === "server",
      sampled:
        before?.sampled !== false &&
        !LogLevel.isGreaterThan(Context.get(services, Tracer.MinimumTraceLevel), Context.get(services, Tracer.CurrentTraceLevel))
    })
    if (!span.sampled) return span
    const around = Context.get(services, References.TracerSpanAnnotations)
    for (const key in around) span.attribute(key, around[key])
    describe(span, call, method, addressOf)
    if (attributes !== undefined) for (const [key, value] of Object.entries(attributes(call))) span.attribute(key, value)
    return span
  }
}

/** Addresses of an aspect's calls by their text: many calls come over one connection. */
const addresses = (): ((text: string) => Conventions.Address | undefined) => {
  const known = new Map<string, Conventions.Address | undefined>()
  return (text) => {
    const found = known.get(text)
    if (found !== undefined || known.has(text)) return found
    const made = Conventions.address(text)
    // clients choose their ports: what was seen long ago will not be seen again
    if (known.size >= MAX_ADDRESSES) known.clear()
    known.set(text, made)
    return made
  }
}

const describe = (span: Tracer.Span, call: CallShape, method: string, addressOf: ReturnType<typeof addresses>): void => {
  span.attribute("rpc.system.name", Conventions.system(call.transport))
  span.attribute("rpc.method", method)
  if (call.httpMethod !== undefined) span.attribute("http.request.method", call.httpMethod)
  if (call.pathTemplate !== undefined) span.attribute("http.route", call.pathTemplate)
  address(span, "server.address", "server.port", addressOf(call.endpoint))
  if (call.side === "client") return
  address(span, "client.address", "client.port", addressOf(call.peer))
  const caller = call.request.get(serviceNameKey)?.[0]
  if (caller !== undefined) span.attribute("peer.service", caller)
}

const address = (span: Tracer.Span, host: string, port: string, found: Conventions.Address | undefined): void => {
  if (found === undefined) return
  span.attribute(host, found.host)
  if (found.port !== undefined) span.attribute(port, found.port)
}

const finish = (span: Tracer.Span, call: CallShape, exit: Exit.Exit<unknown, unknown>): void => {
  const status = KratosError.statusFromExit(exit)
  if (Conventions.system(call.transport) === "http") span.attribute("http.response.status_code", status.code)
  else span.attribute("rpc.response.status_code", Conventions.statusCode(call.transport, status))
  if (Exit.isFailure(exit)) {
    span.attribute("error.type", status.reason === "" ? Conventions.statusCode(call.transport, status) : status.reason)
  }
  // the node that a client's call went to is known only now
  if (call.side === "client") address(span, "network.peer.address", "network.peer.port", Conventions.address(call.peer))
}

export const server: Aspect.Aspect = makeServer()

export const client: Aspect.Aspect = makeClient()
