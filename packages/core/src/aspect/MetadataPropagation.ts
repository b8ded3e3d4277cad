/**
 * Metadata that travels with calls, by Kratos' convention of prefixes: a server keeps the request headers that begin with `x-md-`, and a
 * client hands on those of the call it works for that begin with `x-md-global-`, beside what the program itself gives with
 * `MetadataPropagation.with`. `x-md-local-…` thus goes one hop, `x-md-global-…` the whole way.
 *
 * A key that the outgoing request has already is left alone, so that a retried call does not grow. Whoever faces the internet should
 * drop these headers from outside.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Aspect from "../Aspect.ts"
import { Call } from "../Call.ts"
import { AppInfo } from "../Lifecycle.ts"
import * as Metadata from "../Metadata.ts"

/** What the server kept of the call that this fiber works for. */
export const Incoming: Context.Reference<Metadata.Metadata> = Context.Reference<Metadata.Metadata>(
  "@effect-kratos/core/aspect/MetadataPropagation/Incoming",
  { defaultValue: () => Metadata.empty }
)

/** What the calls of this fiber take along, whatever their prefix. */
export const Outgoing: Context.Reference<Metadata.Metadata> = Context.Reference<Metadata.Metadata>(
  "@effect-kratos/core/aspect/MetadataPropagation/Outgoing",
  { defaultValue: () => Metadata.empty }
)

/** The header that names the caller. */
export const serviceNameKey = "x-md-service-name"

type Values = Readonly<Record<string, string | ReadonlyArray<string>>>

/** Gives metadata to the calls that `effect` makes; a key replaces one given further out. */
const withMetadata =
  (values: Values) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.updateService(effect, Outgoing, (outer) => new Map([...outer, ...Metadata.fromRecord(values)]))

export { withMetadata as with }

export interface Options {
  /** Prefixes of the keys that go through, in place of the default. */
  readonly prefixes?: ReadonlyArray<string> | undefined
  /** Metadata that is always there. */
  readonly constants?: Values | undefined
}

export interface ClientOptions extends Options {
  /** The value of `x-md-service-name`. Default: the name of the app. None is sent when it is empty or unknown. */
  readonly serviceName?: string | undefined
}

/** Keeps what comes with a call in `Incoming`. Default prefix: `x-md-`. */
export const makeServer = (options: Options = {}): Aspect.Aspect => {
  const { constants = {}, prefixes = ["x-md-"] } = options
  const fixed = Metadata.fromRecord(constants)
  const matches = startsWith(prefixes)
  const incomingOf = (request: Metadata.Metadata): Metadata.Metadata => {
    let kept: Metadata.MutableMetadata | undefined = undefined
    for (const [key, values] of request) {
      if (!matches(key)) continue
      kept ??= Metadata.clone(fixed)
      for (const value of values) Metadata.add(kept, key, value)
    }
    return kept ?? fixed
  }
  const context: Aspect.ContextOf = ({ request }, services) => {
    const incoming = incomingOf(request)
    // also when empty, should this call be served inside another one
    return incoming.size === 0 && Context.get(services, Incoming).size === 0 ? services : Context.add(services, Incoming, incoming)
  }
  const wrap: Aspect.Aspect = (call) =>
    Effect.withFiber((fiber) => Effect.provideContext(call, context(Context.getUnsafe(fiber.context, Call), fiber.context)!))
  return Aspect.contextual(wrap, context)
}

/** Sends constants, then `Outgoing`, then the part of `Incoming` that goes on. Default prefix: `x-md-global-`. */
export const makeClient = (options: ClientOptions = {}): Aspect.Aspect => {
  const { constants = {}, prefixes = ["x-md-global-"], serviceName } = options
  const fixed = Metadata.fromRecord(constants)
  const matches = startsWith(prefixes)
  return Aspect.observe({
    start: ({ request }, services) => {
      const send = (key: string, values: ReadonlyArray<string>) => {
        if (!request.has(key)) request.set(key, [...values])
      }
      for (const [key, values] of fixed) send(key, values)
      for (const [key, values] of Context.get(services, Outgoing)) send(key, values)
      for (const [key, values] of Context.get(services, Incoming)) if (matches(key)) send(key, values)
      const name = serviceName ?? Context.get(services, AppInfo).name
      if (name !== "" && name !== "unknown") send(serviceNameKey, [name])
    },
    end: () => undefined
  })
}

const startsWith = (prefixes: ReadonlyArray<string>): ((key: string) => boolean) => {
  const lower = prefixes.map((prefix) => prefix.toLowerCase())
  return (key) => lower.some((prefix) => key.startsWith(prefix))
}

export const server: Aspect.Aspect = makeServer()

export const client: Aspect.Aspect = makeClient()
