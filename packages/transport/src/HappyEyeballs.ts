/**
 * Connects to a host that has several addresses (RFC 8305): the families take turns, each attempt has a head start of a quarter second before the next
 * one, which begins at once when it fails, and the first that is connected wins. Slow attempts go on beside later ones.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { type LookupAddress, lookup as systemLookup } from "node:dns"
import * as net from "node:net"
import { text } from "./AddressText.ts"
import type { ConnectOptions } from "./Network.ts"
import * as NetworkError from "./NetworkError.ts"

/** Connection Attempt Delay of RFC 8305 section 5, in milliseconds. */
const HEAD_START = 250

type Attempt<A = net.Socket> = Effect.Effect<A, NetworkError.ConnectError>

/** Looks the host up and connects to the first of its addresses that answers. */
export const connect = (options: ConnectOptions): Attempt => {
  const { host, port } = options
  if (net.isIP(host) !== 0) return dial(options, { host, port })
  return Effect.flatMap(lookup(options), (addresses) =>
    Effect.suspend(() => {
      const sockets = new Set<net.Socket>()
      const attempts = interleave(addresses).map(({ address, family }) => dial(options, { host: address, port, family }, sockets))
      // an attempt that connects in the same instant as another is nobody's
      return Effect.tap(first(attempts), (winner) =>
        Effect.sync(() => {
          for (const socket of sockets) if (socket !== winner) socket.destroy()
        })
      )
    })
  )
}

/** The first of these attempts that succeeds, at least one, begun one after the other; the failure of the first one when none does. */
export const first = <A>(attempts: ReadonlyArray<Attempt<A>>): Attempt<A> =>
  Effect.suspend(() => {
    let failure: NetworkError.ConnectError | undefined
    const noted = attempts.map((attempt) => Effect.tapError(attempt, (error) => Effect.sync(() => (failure ??= error))))
    return Effect.mapError(staggered(noted), (error) => failure ?? error)
  })

/** One attempt at one address. */
export const dial = (options: ConnectOptions, to: net.TcpNetConnectOpts | net.IpcNetConnectOpts, sockets?: Set<net.Socket>): Attempt =>
  Effect.callback((resume) => {
    const socket = net.connect("path" in to ? to : { ...to, noDelay: true })
    sockets?.add(socket)
    const fail = (cause: Error) => resume(Effect.fail(NetworkError.connect(options, text(options), cause)))
    // stays: between here and the owner nobody else listens
    socket.on("error", fail)
    socket.once("connect", () => resume(Effect.succeed(socket)))
    return Effect.sync(() => void socket.destroy())
  })

/** The families in turn, beginning with that of the first address (section 4). */
export const interleave = (addresses: ReadonlyArray<LookupAddress>): ReadonlyArray<LookupAddress> => {
  const first = addresses.filter(({ family }) => family === addresses[0]?.family)
  const second = addresses.filter(({ family }) => family !== addresses[0]?.family)
  return addresses.length === 0
    ? []
    : first.flatMap((address, i) => [address, ...second.slice(i, i + 1)]).concat(second.slice(first.length))
}

const staggered = <A>([head, ...rest]: ReadonlyArray<Attempt<A>>): Attempt<A> => {
  if (rest.length === 0) return head! // there is at least one
  return Effect.suspend(() => {
    const failed = Deferred.makeUnsafe<void>()
    return Effect.race(
      Effect.tapError(head!, () => Deferred.succeed(failed, undefined)),
      Effect.andThen(Effect.raceFirst(Deferred.await(failed), Effect.sleep(HEAD_START)), staggered(rest))
    )
  })
}

const lookup = (options: ConnectOptions): Effect.Effect<ReadonlyArray<LookupAddress>, NetworkError.ConnectError> =>
  Effect.callback((resume) => {
    const { host, lookup: ask = systemLookup } = options
    const fail = (cause: Error) => resume(Effect.fail(NetworkError.connect(options, text(options), cause)))
    ask(host, { all: true }, (error, found) => {
      const addresses = typeof found === "string" ? [{ address: found, family: net.isIP(found) }] : (found ?? [])
      if (error !== null && error !== undefined) fail(error)
      else if (addresses.length === 0) fail(Object.assign(new Error(`${host} has no address`), { code: "ENOTFOUND" }))
      else resume(Effect.succeed(addresses))
    })
  })
