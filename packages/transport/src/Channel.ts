/**
 * The client path to one target: its nodes and their connections. A selector gives each call its node; calls that find no connection with room wait in one
 * queue, in the order in which they came. All of it is plain state, looked at by `dispatch` whenever something has changed.
 */
import type { CallShape } from "@effect-kratos/core/Call"
import type * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Selector from "@effect-kratos/core/selector/Selector"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { CallQueue, Waiter } from "./channel/CallQueue.ts"
import * as ConnectionOptions from "./channel/ConnectionOptions.ts"
import type { NodeState, State } from "./channel/Connectivity.ts"
import { Node, type Owner } from "./channel/Node.ts"
import type { Connection, PooledConnection } from "./channel/PooledConnection.ts"
import type { DeadlineTimers, Timer } from "./DeadlineTimers.ts"
import * as GrpcError from "./grpc/GrpcError.ts"
import * as LoopTurn from "./LoopTurn.ts"
import { type ConnectOptions, Network } from "./Network.ts"
import * as Resolver from "./Resolver.ts"

export type { Connection }

export interface Channel {
  readonly target: string
  readonly timers: DeadlineTimers
  /** A connection that takes the call now, on the node that the selector gives it, unless calls wait already. Allocates nothing. */
  readonly ready: (call: CallShape) => Connection | undefined
  /**
   * A connection that takes a call now: waits for the first list of nodes, connects if it must, and for a free stream. Fails with 503 when no node can be
   * reached or too many calls wait.
   */
  readonly connection: (wait: Wait) => Effect.Effect<Connection, KratosError.KratosError>
  /** The nodes as they are, changed with every change of one. */
  readonly connectivity: SubscriptionRef.SubscriptionRef<ReadonlyArray<NodeState>>
}

/** How a call waits. */
export interface Wait {
  readonly call: CallShape
  /** Milliseconds since the epoch. */
  readonly deadline: number | undefined
  readonly expired: () => KratosError.KratosError
  /** Waits on when no node can be reached, until one can. */
  readonly waitForReady: boolean
  /** It had a connection already and lost its place: goes before those that come after it. */
  readonly again: boolean
}

/** Calls that are looked at in the queue when the first one finds no node, where calls go to different nodes. */
const LOOKAHEAD = 64

export const make = Effect.fnUntraced(function* (
  target: string,
  nodes: Resolver.Nodes,
  timers: DeadlineTimers,
  tls?: ConnectOptions["tls"]
): Effect.fn.Return<Channel, never, Scope.Scope> {
  const given = yield* ConnectionOptions.Current
  const options = ConnectionOptions.resolve(given)
  const random = yield* Random.Random
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const connectivity = yield* SubscriptionRef.make<ReadonlyArray<NodeState>>([])
  const queue = new CallQueue()
  const open = new Set<PooledConnection>()
  const dials = new Set<Fiber.Fiber<unknown, unknown>>()
  const empty = yield* Latch.make(true)
  /** Nodes without a connection that takes calls; undefined when that has to be looked up. */
  let asleep: ReadonlyArray<Node> | undefined
  let closed = false
  let dispatching = false
  let again = false
  /** For the end of the earliest back-off, while calls wait. */
  let alarm: { readonly at: number; readonly timer: Timer } | undefined
  let soon: (() => void) | undefined

  const selector = yield* Selector.make<Node>(
    { target, isReady: (node) => node.ready() !== undefined, onChange: () => queue.size > 0 && dispatch() },
    ConnectionOptions.selectorOf(given, target)
  )

  const pick = (call: CallShape): PooledConnection | undefined => {
    asleep ??= followed.list().filter((node) => !node.isConnected)
    if (asleep.length > 0) wake(call)
    return selector.pick(call)?.value.ready()
  }

  /** Connects the nodes that the call might go to. */
  const wake = (call: CallShape): void => {
    for (const { value } of selector.eligible(call)) if (!value.isConnected) value.wake()
  }

  const dispatch = (): void => {
    // A call that goes on may end at once, and another one come.
    if (dispatching) {
      again = true
      return
    }
    dispatching = true
    do {
      again = false
      if (selector.varies) serveEach()
      else serve()
    } while (again)
    dispatching = false
    if (alarm !== undefined && queue.size === 0) disarm()
  }

  /** Serves the calls in their order; what one cannot have none can. */
  const serve = (): void => {
    for (let waiter = queue.head; waiter !== undefined; waiter = queue.head) {
      const connection = pick(waiter.call)
      if (connection === undefined) return starve(followed.list(), undefined)
      if (!give(waiter, connection)) return
    }
  }

  /** The same where one call may have what another cannot: as long as some of the first calls get on. */
  const serveEach = (): void => {
    for (let before = queue.size + 1; queue.size > 0 && queue.size < before;) {
      before = queue.size
      for (const waiter of queue.peek(LOOKAHEAD)) {
        // another one's end may have been its own
        if (waiter.queued && !serveOne(waiter)) return
      }
    }
  }

  /** False when the next call has to wait for this one. */
  const serveOne = (waiter: Waiter): boolean => {
    const connection = pick(waiter.call)
    if (connection !== undefined) return give(waiter, connection)
    if (selector.refusal !== undefined) {
      queue.remove(waiter)
      waiter.onFailure(selector.refusal)
    } else {
      const nodes = selector.eligible(waiter.call).map(({ value }) => value)
      starve(nodes, waiter)
    }
    return true
  }

  /** False when the next call has to wait for this one. */
  const give = (waiter: Waiter, connection: PooledConnection): boolean => {
    const { openedStreams } = connection.engine
    queue.remove(waiter)
    waiter.onConnection(connection)
    if (connection.engine.openedStreams !== openedStreams) return true
    // It has not opened its stream yet, or never will: the next one must not take its place.
    soon ??= LoopTurn.next(later)
    return false
  }
  const later = (): void => {
    soon = undefined
    dispatch()
  }

  /** Calls wait, all or one of them, and no connection of the nodes that they may go to has room. */
  const starve = (list: ReadonlyArray<Node>, one: Waiter | undefined): void => {
    const failure = followed.failure() ?? (closed ? GrpcError.unavailable("the channels are closed") : undefined)
    if (failure !== undefined) return reject(queue.takeAll(false), failure)
    if (!followed.isResolved()) return
    let error: KratosError.KratosError | undefined = list.length === 0 ? Resolver.noNode(target) : undefined
    let hope = false
    let retryAt = Number.POSITIVE_INFINITY
    let dials = 0
    for (const node of list) if (node.isDialling) dials++
    for (const node of list) {
      if (node.isConnected) {
        node.awaitRoom()
        // a connection more for so many calls as one takes by common limits
        if (dials * 100 < queue.size && node.grow()) dials++
      }
      if (node.isConnected || node.isDialling) hope = true
      else retryAt = Math.min(retryAt, node.retryAt)
      error = node.error ?? error
    }
    if (!hope) reject(one === undefined ? queue.takeAll(true) : queue.take(one), error ?? Resolver.noNode(target))
    if (queue.size > 0 && retryAt < Number.POSITIVE_INFINITY) arm(retryAt)
  }

  const reject = (waiters: ReadonlyArray<Waiter>, error: KratosError.KratosError): void => {
    for (const waiter of waiters) waiter.onFailure(error)
  }
  const arm = (at: number): void => {
    if (alarm !== undefined && alarm.at <= at) return
    disarm()
    alarm = {
      at,
      timer: timers.add(at, () => {
        alarm = undefined
        dispatch()
      })
    }
  }
  const disarm = (): void => {
    if (alarm !== undefined) timers.remove(alarm.timer)
    alarm = undefined
  }

  const publish = (): void => void fork(SubscriptionRef.set(connectivity, closed ? [] : followed.list().map((node) => node.snapshot)))

  const owner: Owner = {
    network: yield* Network,
    timers,
    options,
    tls,
    selector,
    random: () => random.nextDoubleUnsafe(),
    fork,
    dispatch,
    onState: (node, previous) => {
      asleep = undefined
      log(node, previous)
      publish()
    },
    publish,
    open,
    dials,
    onOpen: () => empty.closeUnsafe(),
    onClosed: () => void (open.size === 0 && empty.openUnsafe())
  }
  /** Nodes that could not be reached, so that the log says it once. */
  const failing = new Set<string>()
  const log = (node: Node, previous: State): void => {
    const { address, error, state } = node
    if (state === "transientFailure") {
      // one line: the calls that this costs have the whole of it
      const text = `${address} of ${target} cannot be reached${error === undefined ? "" : `: ${error.message}`}`
      fork(failing.has(address) ? Effect.logDebug(text) : Effect.logWarning(text))
      failing.add(address)
    } else if (state === "ready") {
      failing.delete(address)
      fork(Effect.logDebug(`connected to ${address} of ${target}`))
    } else if (previous === "ready") fork(Effect.logDebug(`no connection to ${address} of ${target} any more`))
  }

  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      // The nodes are retired by now; what is left finishes its calls.
      closed = true
      dispatch()
      soon?.()
      yield* Fiber.awaitAll(dials)
      yield* empty.await.pipe(
        Effect.timeoutOrElse({
          duration: options.drainTimeout,
          orElse: () => Effect.logWarning(`closing ${open.size} connections to ${target} whose calls did not end within the drain timeout`)
        })
      )
      for (const { engine } of open) engine.destroy()
      yield* empty.await
      disarm()
    })
  )
  const followed = yield* Resolver.follow(
    target,
    nodes,
    (listed) => new Node(listed, owner),
    (node) => {
      failing.delete(node.address)
      node.retire()
    },
    () => {
      asleep = undefined
      selector.list(followed.list().map(({ member }) => member))
      publish()
      dispatch()
    },
    ({ member }, { node }) => member.relist(node)
  )

  const connection = ({ again, call, deadline, expired, waitForReady }: Wait): Effect.Effect<Connection, KratosError.KratosError> =>
    Effect.callback((resume) => {
      if (closed) return resume(Effect.fail(GrpcError.unavailable("the channels are closed")))
      if (queue.size >= options.maxQueuedCalls && !again) {
        return resume(Effect.fail(GrpcError.queueFull(target, options.maxQueuedCalls)))
      }
      let timer: Timer | undefined
      const leave = (): void => {
        queue.remove(waiter)
        if (timer !== undefined) timers.remove(timer)
      }
      const waiter = new Waiter(
        call,
        waitForReady,
        (connection) => {
          leave()
          resume(Effect.succeed(connection))
        },
        (error) => {
          leave()
          resume(Effect.fail(error))
        }
      )
      if (again) queue.unshift(waiter)
      else queue.push(waiter)
      if (deadline !== undefined) timer = timers.add(deadline, () => waiter.onFailure(expired()))
      dispatch()
      return Effect.sync(leave)
    })

  return { target, timers, ready: (call) => (queue.size > 0 ? undefined : pick(call)), connection, connectivity }
})
