/**
 * Nodes from the domain name system: the addresses of a name (A and AAAA), or what its SRV records list, asked again when the records run out.
 *
 * What names say goes by a resolver behind a reference, whose default is the machine's own (`node:dns`); tests put answers of their own in its place. A
 * name that does not exist has no node. A resolver that fails leaves the last answer in place and is asked again with jittered back-off.
 */
import * as Endpoint from "@effect-kratos/core/Endpoint"
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { RegistryError } from "@effect-kratos/core/registry/RegistryError"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as Watch from "@effect-kratos/core/registry/Watch"
import type * as Context from "effect/Context"
import { Reference } from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { lookup, Resolver as NodeResolver } from "node:dns"
import * as net from "node:net"
import type { Address } from "./Network.ts"
import { format } from "./AddressText.ts"

/** An answer, good for `ttl` seconds. */
export interface Answer<A> {
  readonly records: ReadonlyArray<A>
  /** Undefined when the resolver does not say. */
  readonly ttl: number | undefined
}

export interface Srv {
  readonly host: string
  readonly port: number
  /** Only the lowest that is there counts. */
  readonly priority: number
  readonly weight: number
}

export interface Resolver {
  /** The IPv4 and IPv6 addresses of a host. A name without any has the empty answer. */
  readonly addresses: (host: string) => Effect.Effect<Answer<string>, Error>
  /** The SRV records of a name, such as `_grpc._tcp.greeter.example`. */
  readonly services: (name: string) => Effect.Effect<Answer<Srv>, Error>
}

const nodeResolver = (): Resolver => {
  /** One question; what does not exist is the empty answer. */
  const ask = <A>(question: (resolver: NodeResolver, done: (error: NodeJS.ErrnoException | null, records: Array<A>) => void) => void) =>
    Effect.callback<ReadonlyArray<A>, Error>((resume) => {
      const resolver = new NodeResolver()
      question(resolver, (error, records) => {
        if (error === null) resume(Effect.succeed(records))
        else if (error.code === "ENOTFOUND" || error.code === "ENODATA") resume(Effect.succeed([]))
        else resume(Effect.fail(error))
      })
      return Effect.sync(() => resolver.cancel())
    })
  const v4 = (host: string) =>
    ask<{ readonly address: string; readonly ttl: number }>((resolver, done) => resolver.resolve4(host, { ttl: true }, done))
  const v6 = (host: string) =>
    ask<{ readonly address: string; readonly ttl: number }>((resolver, done) => resolver.resolve6(host, { ttl: true }, done))
  /** As the system sees it: `/etc/hosts`, search domains. It does not tell how long that is good for. */
  const system = (host: string) =>
    Effect.callback<Answer<string>, Error>((resume) => {
      lookup(host, { all: true }, (error, found) => {
        if (error === null) resume(Effect.succeed({ records: found.map(({ address }) => address), ttl: undefined }))
        else resume(error.code === "ENOTFOUND" ? Effect.succeed({ records: [], ttl: undefined }) : Effect.fail(error))
      })
    })
  return {
    addresses: (host) =>
      net.isIP(host) !== 0
        ? Effect.succeed({ records: [host], ttl: undefined })
        : Effect.flatMap(Effect.all([v4(host), v6(host)], { concurrency: 2 }), (lists) => {
            const records = lists.flat()
            if (records.length === 0) return system(host)
            return Effect.succeed({
              records: records.map(({ address }) => address),
              ttl: Math.min(...records.map(({ ttl }) => ttl))
            })
          }),
    services: (name) =>
      Effect.map(
        ask<{ readonly name: string; readonly port: number; readonly priority: number; readonly weight: number }>((resolver, done) =>
          resolver.resolveSrv(name, done)
        ),
        // node:dns does not tell how long these are good for
        (records) => ({
          records: records.map(({ name, port, priority, weight }) => ({ host: name, port, priority, weight })),
          ttl: undefined
        })
      )
  }
}

/** Who answers questions. Default: the resolver of the machine, by `node:dns`; what it does not know the system is asked for, with `/etc/hosts` and search domains. */
export const Resolver: Context.Reference<Resolver> = Reference<Resolver>("@effect-kratos/transport/Dns/Resolver", {
  defaultValue: nodeResolver
})

export interface Options {
  /** An answer is kept so long at least, whatever it says. Default 5 seconds. */
  readonly minTtl?: Duration.Input | undefined
  /** And so long at most; also for answers that do not say. Default 30 seconds. */
  readonly maxTtl?: Duration.Input | undefined
}

/** Where nodes are: a host with a port, or the name of SRV records. */
export type Question = { readonly host: string; readonly port: number } | { readonly srv: string }

interface Found {
  readonly addresses: ReadonlyArray<Address & { readonly weight: number }>
  readonly ttl: number | undefined
}

const lookUp = (question: Question): Effect.Effect<Found, Error> =>
  Effect.gen(function* () {
    const resolver = yield* Resolver
    if ("host" in question) {
      const { records, ttl } = yield* resolver.addresses(question.host)
      return { addresses: records.map((host) => ({ host, port: question.port, weight: 0 })), ttl }
    }
    const answer = yield* resolver.services(question.srv)
    const best = Math.min(...answer.records.map(({ priority }) => priority))
    const records = answer.records.filter(({ priority }) => priority === best)
    const hosts = yield* Effect.forEach(records, ({ host }) => resolver.addresses(host), { concurrency: 8 })
    const ttls = [answer.ttl, ...hosts.map(({ ttl }) => ttl)].filter((ttl) => ttl !== undefined)
    return {
      addresses: hosts.flatMap((host, i) =>
        host.records.map((address) => ({ host: address, port: records[i]!.port, weight: records[i]!.weight }))
      ),
      ttl: ttls.length === 0 ? undefined : Math.min(...ttls)
    }
  })

const toInstance = (name: string, schemes: ReadonlyArray<Endpoint.Scheme>) => (found: Found["addresses"][number]) =>
  ServiceInstance.make({
    id: format(found.host, found.port),
    name,
    metadata: found.weight > 0 ? { weight: String(found.weight) } : {},
    endpoints: schemes.map((scheme) => Endpoint.format(Endpoint.make(scheme, found.host, found.port)))
  })

/**
 * The instances behind a question, asked again when the answer has run out, give or take a tenth, so that clients that started together do not ask
 * together. Fails when the first question does.
 */
export const watch = (
  name: string,
  question: Question,
  schemes: ReadonlyArray<Endpoint.Scheme>,
  options: Options = {}
): Stream.Stream<ReadonlyArray<ServiceInstance.ServiceInstance>, RegistryError> => {
  const least = Duration.toSeconds(Duration.fromInputUnsafe(options.minTtl ?? "5 seconds"))
  const most = Math.max(least, Duration.toSeconds(Duration.fromInputUnsafe(options.maxTtl ?? "30 seconds")))
  const wait = (ttl: number | undefined) =>
    Effect.flatMap(Random.next, (chance) =>
      Effect.sleep(Duration.seconds(Math.max(least, Math.min(most, ttl ?? most)) * (0.9 + 0.2 * chance)))
    )
  let ttl: number | undefined
  const ask = Effect.suspend(() => lookUp(question)).pipe(
    Effect.map((found) => {
      ttl = found.ttl
      return found.addresses.map(toInstance(name, schemes))
    }),
    Effect.mapError((cause) => new RegistryError({ method: "watch", cause }))
  )
  const follow = Stream.concat(
    Stream.fromEffect(ask),
    Stream.fromEffectRepeat(
      Effect.andThen(
        Effect.suspend(() => wait(ttl)),
        ask
      )
    )
  )
  return Watch.keep({ name: `${name} in DNS`, follow, settle: 0 }) // names do not register again
}

/** Discovery by names: `questions` says where the instances of each service are; others have none. Endpoints are `grpc` and `http`, or `grpcs` and `https`. */
export const layer = (
  questions: Readonly<Record<string, Question>>,
  options: Options & { readonly secure?: boolean | undefined } = {}
): Layer.Layer<Discovery> => {
  const schemes: ReadonlyArray<Endpoint.Scheme> = options.secure === true ? ["https", "grpcs"] : ["http", "grpc"]
  const known = new Map(Object.entries(questions))
  return Layer.succeed(Discovery, {
    get: (name) => {
      const question = known.get(name)
      if (question === undefined) return Effect.succeed([])
      return lookUp(question).pipe(
        Effect.map(({ addresses }) => addresses.map(toInstance(name, schemes)).sort(ServiceInstance.byId)),
        Effect.mapError((cause) => new RegistryError({ method: "get", cause }))
      )
    },
    watch: (name) => {
      const question = known.get(name)
      return question === undefined ? Stream.concat(Stream.succeed([]), Stream.never) : watch(name, question, schemes, options)
    }
  })
}
