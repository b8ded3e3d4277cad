/**
 * The nodes behind a target: the addresses that it names, or what `Discovery` lists for it, now and after every change; and how clients follow them,
 * each node kept as long as it is listed.
 */
import * as Endpoint from "@effect-kratos/core/Endpoint"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type { Discovery } from "@effect-kratos/core/registry/Discovery"
import type { RegistryError } from "@effect-kratos/core/registry/RegistryError"
import type { ServiceInstance } from "@effect-kratos/core/registry/ServiceInstance"
import * as Node from "@effect-kratos/core/selector/Node"
import * as Selector from "@effect-kratos/core/selector/Selector"
import * as Subset from "@effect-kratos/core/selector/Subset"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Dns from "./Dns.ts"
import { type Address, text } from "./Network.ts"
import type * as Target from "./Target.ts"

/** Where a node is, and what is known of it. */
export interface Listed {
  readonly address: Address
  readonly node: Node.Node
}

/** The current list first, then the whole list after every change; the empty list is one like any other. */
export type Nodes = Stream.Stream<ReadonlyArray<Listed>, KratosError.KratosError>

/** Nodes that never change. */
export const fixed = (addresses: ReadonlyArray<Address>): Nodes =>
  Stream.succeed(addresses.map((address) => ({ address, node: Node.make(text(address)) })))

/** At most so many nodes, chosen by a key of the client's own. */
export const subset = (nodes: Nodes, key: string, size: number): Nodes => Stream.map(nodes, (list) => Subset.select(key, list, size))

/** The nodes of a target; those of a service are its endpoints with the scheme. */
export const resolve = (target: Target.Target, scheme: Endpoint.Scheme, discovery: Discovery["Service"] | undefined): Nodes => {
  switch (target._tag) {
    case "Direct":
      return fixed(target.addresses)
    case "Dns":
      return watch(target.name, scheme, Dns.watch(target.name, target.question, [scheme]))
    case "Invalid":
      return Stream.fail(KratosError.badRequest("TARGET", target.message))
    case "Discovery":
      return discovery === undefined
        ? Stream.fail(
            KratosError.badRequest(
              "TARGET",
              `discovery:///${target.name} needs Channels.layer with a Discovery; Channels.layerDirect has none`
            )
          )
        : watch(target.name, scheme, discovery.watch(target.name))
  }
}

/** The endpoints of a service with a scheme, as they change. A registry that fails is asked again a second later; what was known stays. */
const watch = (name: string, scheme: Endpoint.Scheme, lists: Stream.Stream<ReadonlyArray<ServiceInstance>, RegistryError>): Nodes =>
  lists.pipe(
    Stream.tapError((error) => Effect.logWarning(`discovery of ${name} failed, trying again`, error)),
    Stream.retry(Schedule.spaced("1 second")),
    Stream.mapError((cause) => KratosError.serviceUnavailable("NODE_NOT_FOUND", `discovery of ${name} failed`, { cause })), // the schedule does not end
    Stream.map((instances) =>
      instances.flatMap((instance) => {
        const endpoint = instance.endpoints.map(Endpoint.parse).find((parsed) => Option.isSome(parsed) && parsed.value.scheme === scheme)
        if (endpoint === undefined || Option.isNone(endpoint)) return []
        return [{ address: endpoint.value, node: Node.ofInstance(text(endpoint.value), instance) }]
      })
    )
  )

/** The nodes of a target as something of the client's own. */
export interface Followed<out A> {
  /** What is known; the same array until it changes. Empty before the first list has come. */
  readonly list: () => ReadonlyArray<A>
  /** The first list, or a failure, has come. */
  readonly isResolved: () => boolean
  /** The target cannot be resolved, and will not be. */
  readonly failure: () => KratosError.KratosError | undefined
  /** All nodes, beginning with the one whose turn it is, which goes to the next; at least one. Waits for the first list; 503 when it is empty. */
  readonly all: Effect.Effect<ReadonlyArray<A>, KratosError.KratosError>
}

/** 503: the target has no node at present. */
export const noNode = Selector.noNode

/**
 * Follows the nodes of `target` until the scope closes: `open` makes something of each that appears, `close` ends it when it is listed no more, `onChange`
 * hears of every list and of a failure, `relist` of what a list says of a node that was there.
 */
export const follow = Effect.fnUntraced(function* <A>(
  target: string,
  nodes: Nodes,
  open: (listed: Listed) => A,
  close: (node: A) => void,
  onChange: () => void = () => {},
  relist: (node: A, listed: Listed) => void = () => {}
): Effect.fn.Return<Followed<A>, never, Scope.Scope> {
  const resolved = yield* Deferred.make<void>()
  let isResolved = false
  let known = new Map<string, A>()
  let list: ReadonlyArray<A> = []
  let failure: KratosError.KratosError | undefined
  let turn = 0

  const update = (listed: ReadonlyArray<Listed>): void => {
    const fresh = new Map<string, A>()
    for (const one of listed) {
      const key = one.node.address
      if (fresh.has(key)) continue
      const there = known.get(key)
      if (there !== undefined) relist(there, one)
      fresh.set(key, there ?? open(one))
    }
    for (const [key, node] of known) if (!fresh.has(key)) close(node)
    known = fresh
    list = [...fresh.values()]
  }
  const told = Effect.suspend(() => {
    isResolved = true
    onChange()
    return Deferred.succeed(resolved, undefined)
  })
  yield* nodes.pipe(
    Stream.runForEach((listed) =>
      Effect.andThen(
        Effect.sync(() => update(listed)),
        told
      )
    ),
    Effect.catch((error) =>
      Effect.andThen(
        Effect.sync(() => (failure = error)),
        told
      )
    ),
    Effect.forkScoped
  )
  yield* Effect.addFinalizer(() => Effect.sync(() => update([])))

  return {
    list: () => list,
    isResolved: () => isResolved,
    failure: () => failure,
    all: Effect.andThen(
      Deferred.await(resolved),
      Effect.suspend(() => {
        if (failure !== undefined) return Effect.fail(failure)
        if (list.length === 0) return Effect.fail(noNode(target))
        const from = turn++ % list.length
        return Effect.succeed([...list.slice(from), ...list.slice(0, from)])
      })
    )
  }
})
