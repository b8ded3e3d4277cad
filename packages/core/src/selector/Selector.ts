/**
 * Chooses a node for each call of a client to one target: of the nodes that are listed, up and not taken out, those that the filters leave, by the balancer,
 * past those that a gate refuses. Plain state without wires: its owner says which nodes are listed and which of them can be reached, and sends the calls.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type { CallShape } from "../Call.ts"
import * as KratosError from "../error/KratosError.ts"
import { type Attempt, isFailure as isFailureByCode, type Outcome } from "./Attempt.ts"
import type * as Balancer from "./Balancer.ts"
import type { Filter } from "./Filter.ts"
import type * as Gate from "./Gate.ts"
import { type Health, Member, Record } from "./Member.ts"
import type { Node } from "./Node.ts"
import * as OutlierEjection from "./OutlierEjection.ts"
import * as SlowStart from "./SlowStart.ts"
import * as WeightedRoundRobin from "./WeightedRoundRobin.ts"

export interface Options {
  /** Default weighted round robin. */
  readonly balancer?: Balancer.Make | undefined
  /** Which nodes a call may go to; each looks at what the one before it leaves. */
  readonly filters?: ReadonlyArray<Filter> | undefined
  /** Whether a node may have a call: limits and breakers of each node. */
  readonly gates?: ReadonlyArray<Gate.Make> | undefined
  /** Eases calls onto nodes that are new or were away. Default: not. */
  readonly slowStart?: SlowStart.Options | undefined
  /** Takes out nodes that fail much more than the others. Default: by failure percentage, with gRPC's defaults; false turns it off. */
  readonly outlierEjection?: OutlierEjection.Options | false | undefined
  /** Whether an error of a reply says that its node is at fault. Default: 500, 502, 503, 504. */
  readonly isFailure?: ((error: KratosError.KratosError) => boolean) | undefined
}

/** What the owner of the nodes has to say. */
export interface Owner<in T> {
  readonly target: string
  /** The node can take a call in this moment. */
  readonly isReady: (value: T) => boolean
  /** Calls that wait may go on: a call has ended, or a node was put back. */
  readonly onChange: () => void
}

/** Unlisted nodes of which the state is kept, in case they come back. */
const REMEMBERED = 256

/** 503: no node of a target passes the filters, or there is none. */
export const noNode = (target: string): KratosError.KratosError =>
  KratosError.serviceUnavailable("NODE_NOT_FOUND", `no node of ${target} is available`)

export const make = <T>(owner: Owner<T>, options: Options = {}): Effect.Effect<Selector<T>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const random = yield* Random.Random
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    const outlier = options.outlierEjection === false ? undefined : OutlierEjection.make(options.outlierEjection)
    const selector = new Selector<T>(
      owner,
      yield* options.balancer ?? WeightedRoundRobin.make,
      options.filters ?? [],
      yield* Effect.all(options.gates ?? []),
      options.slowStart && SlowStart.make(options.slowStart),
      outlier,
      options.isFailure ?? isFailureByCode,
      () => clock.currentTimeMillisUnsafe(),
      (cause) => void fork(Effect.logError(`the balancer of ${owner.target} failed`, cause))
    )
    if (outlier !== undefined) {
      const sweep = Effect.sync(() => selector.sweep(() => random.nextDoubleUnsafe()))
      yield* Effect.forkScoped(Effect.forever(Effect.delay(sweep, outlier.interval)))
    }
    return selector
  })

export class Selector<T> {
  /** Why the last `pick` that gave nothing should not wait. */
  refusal: KratosError.KratosError | undefined = undefined
  private readonly owner: Owner<T>
  private readonly balancer: Balancer.Any
  private readonly filters: ReadonlyArray<Filter>
  private readonly gates: ReadonlyArray<Gate.Gate>
  private readonly slowStart: SlowStart.SlowStart | undefined
  private readonly outlier: OutlierEjection.OutlierEjection | undefined
  private readonly isFailure: (error: KratosError.KratosError) => boolean
  private readonly now: () => number
  private readonly onDefect: (cause: unknown) => void
  private listed: ReadonlyArray<Member<T>> = []
  /** Those that calls go to. */
  private open: ReadonlyArray<Member<T>> = []
  /** The same and those that may soon be: the same array when there are none. */
  private possible: ReadonlyArray<Member<T>> = []
  private openOf = new WeakMap<ReadonlyArray<Member<T>>, ReadonlyArray<Member<T>>>()
  private stale = false
  private warming = 0
  private warmedAt = 0
  private readonly departed = new Map<string, { readonly state: unknown; readonly record: Record }>()

  constructor(
    owner: Owner<T>,
    balancer: Balancer.Any,
    filters: ReadonlyArray<Filter>,
    gates: ReadonlyArray<Gate.Gate>,
    slowStart: SlowStart.SlowStart | undefined,
    outlier: OutlierEjection.OutlierEjection | undefined,
    isFailure: (error: KratosError.KratosError) => boolean,
    now: () => number,
    onDefect: (cause: unknown) => void
  ) {
    this.owner = owner
    this.balancer = balancer
    this.filters = filters
    this.gates = gates
    this.slowStart = slowStart
    this.outlier = outlier
    this.isFailure = isFailure
    this.now = now
    this.onDefect = onDefect
  }

  // ---- the nodes

  /** A node is listed that was not. What is known of its address from earlier is known again. */
  join(node: Node, value: T): Member<T> {
    const known = this.departed.get(node.address)
    this.departed.delete(node.address)
    return new Member(node, value, known === undefined ? this.balancer.state(node) : known.state, known?.record ?? new Record())
  }

  /** A node is listed no more. */
  leave({ node, record, state }: Member<T>): void {
    this.departed.set(node.address, { state, record })
    if (this.departed.size > REMEMBERED) this.departed.delete(this.departed.keys().next().value!) // there is one
  }

  /** The nodes as they are listed now. */
  list(members: ReadonlyArray<Member<T>>): void {
    this.listed = members
    this.stale = true
    this.count()
  }

  /** A node can be reached, or cannot any more. */
  setHealth(member: Member<T>, health: Health): void {
    if (member.health === health) return
    // one that was only idle has lost nothing of its warmth
    if (health === "up" && (member.isNew || member.health === "down")) this.cool(member)
    if (health === "up") member.isNew = false
    member.health = health
    this.stale = true
  }

  private cool(member: Member<T>): void {
    if (this.slowStart === undefined) return
    member.warmingSince = this.now()
    member.warm(this.slowStart.share(0))
    this.count()
  }

  private count(): void {
    this.warming = 0
    for (const { warmingSince } of this.listed) if (warmingSince < Number.POSITIVE_INFINITY) this.warming++
  }

  private warm(): void {
    const now = this.now()
    if (now === this.warmedAt) return
    this.warmedAt = now
    for (const member of this.listed) {
      if (member.warmingSince === Number.POSITIVE_INFINITY) continue
      const share = this.slowStart!.share(now - member.warmingSince)
      member.warm(share)
      if (share === 1) member.warmingSince = Number.POSITIVE_INFINITY
    }
    this.count()
  }

  /** Looks for outliers. */
  sweep(random: () => number): void {
    const out = new Set(this.listed.filter(({ record }) => record.isEjected))
    const records = this.listed.map(({ record }) => record)
    if (this.outlier?.sweep(records, this.now(), random) !== true) return
    this.stale = true
    for (const member of out) if (!member.record.isEjected) this.cool(member)
    this.owner.onChange()
  }

  private refresh(): void {
    this.stale = false
    const { listed } = this
    const up = listed.filter(({ health }) => health === "up")
    const open = up.filter(({ record }) => !record.isEjected)
    // those that are out are better than none
    this.open = open.length > 0 ? open : up
    for (const member of listed) member.isOpen = false
    for (const member of this.open) member.isOpen = true
    const isPending = ({ health, record }: Member<T>): boolean => health === "pending" && !record.isEjected
    this.possible = listed.some(isPending) ? listed.filter((member) => member.isOpen || isPending(member)) : this.open
    this.openOf = new WeakMap()
  }

  // ---- the calls

  /** Different calls may go to different nodes. */
  get varies(): boolean {
    return this.filters.length > 0 || this.gates.length > 0
  }

  /** A node that takes the call now. Undefined: none does; the call may wait, unless `refusal` says why not. */
  pick(call: CallShape): Member<T> | undefined {
    this.refusal = undefined
    if (this.stale) this.refresh()
    let list = this.open
    if (this.filters.length > 0) {
      const narrowed = this.narrow(this.possible, call, 0)
      if (narrowed === undefined) {
        if (this.listed.length > 0 && this.narrow(this.listed, call, 0) === undefined) this.refusal = noNode(this.owner.target)
        return undefined
      }
      list = this.possible === this.open ? narrowed : this.onlyOpen(narrowed)
    }
    if (list.length === 0) return undefined
    if (this.warming > 0) this.warm()
    const chosen = list.length === 1 ? list[0]! : this.choose(list, call)
    // a call that was on a node already, and is tried again, had better go to another
    if (
      chosen.node.address !== call.peer &&
      this.owner.isReady(chosen.value) &&
      (this.gates.length === 0 || this.refusing(chosen, call) === undefined)
    )
      return chosen
    return this.next(list, chosen, call)
  }

  /** The listed nodes that the call might go to, whether they can be reached or not. */
  eligible(call: CallShape): ReadonlyArray<Member<T>> {
    if (this.filters.length === 0) return this.listed
    if (this.stale) this.refresh()
    return this.narrow(this.possible, call, 0) ?? this.narrow(this.listed, call, 0) ?? []
  }

  /** Nodes that may be tried in turn when `chosen` cannot be reached: tier by tier, and first those that are up. */
  others(chosen: Member<T> | undefined, call: CallShape): ReadonlyArray<Member<T>> {
    if (this.listed.length === 1 && chosen !== undefined) return []
    const rest = this.tiers(this.listed, call, 0).filter((member) => member !== chosen && this.refusing(member, call) === undefined)
    return [...rest.filter(({ isOpen }) => isOpen), ...rest.filter(({ isOpen }) => !isOpen)]
  }

  /** All nodes that some tier has, the best first. */
  private tiers(list: ReadonlyArray<Member<T>>, call: CallShape, index: number): ReadonlyArray<Member<T>> {
    const filter = this.filters[index]
    if (filter === undefined) return list
    return filter.tiers(list, call).flatMap((tier) => this.tiers(tier, call, index + 1))
  }

  /** Those of a tier that are open: the same array for the same tier. */
  private onlyOpen(tier: ReadonlyArray<Member<T>>): ReadonlyArray<Member<T>> {
    let open = this.openOf.get(tier)
    if (open === undefined) this.openOf.set(tier, (open = tier.every(({ isOpen }) => isOpen) ? tier : tier.filter(({ isOpen }) => isOpen)))
    return open
  }

  private choose(list: ReadonlyArray<Member<T>>, call: CallShape): Member<T> {
    try {
      // a balancer gives one of what it was given
      return this.balancer.pick(list, call) as Member<T>
    } catch (cause) {
      this.onDefect(cause)
      return list[0]!
    }
  }

  /** The first choice was not to be had. */
  private next(list: ReadonlyArray<Member<T>>, first: Member<T>, call: CallShape): Member<T> | undefined {
    let chosen = first
    let rest = list
    let previous: Member<T> | undefined
    let refusal: KratosError.KratosError | undefined
    let waits = false
    for (;;) {
      if (!this.owner.isReady(chosen.value)) waits = true
      else {
        const gate = this.gates.length === 0 ? undefined : this.refusing(chosen, call)
        if (gate === undefined) {
          if (chosen.node.address !== call.peer) return chosen
          previous = chosen
        } else if (gate.refusal === undefined) waits = true
        else refusal ??= gate.refusal(call)
      }
      const refused = chosen
      rest = rest.filter((member) => member !== refused)
      if (rest.length === 0) break
      chosen = this.choose(rest, call)
    }
    if (previous !== undefined) return previous
    if (!waits) this.refusal = refusal
    return undefined
  }

  private refusing(member: Member<T>, call: CallShape): Gate.Gate | undefined {
    for (const gate of this.gates) if (!gate.allow(member, call)) return gate
    return undefined
  }

  /** The first tier that is not empty, of all filters from `index`. */
  private narrow(list: ReadonlyArray<Member<T>>, call: CallShape, index: number): ReadonlyArray<Member<T>> | undefined {
    if (list.length === 0) return undefined
    const filter = this.filters[index]
    if (filter === undefined) return list
    for (const tier of filter.tiers(list, call)) {
      const found = this.narrow(tier, call, index + 1)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** The call is sent to the node. The attempt must be ended, whatever happens. */
  begin(member: Member<T>, call: CallShape): Try<T> {
    member.inFlight++
    const attempt = new Try(this, member, call)
    this.balancer.started?.(attempt)
    // a loop would cost more than the rest of it, where there are none
    if (this.gates.length > 0) for (const gate of this.gates) gate.started?.(attempt)
    return attempt
  }

  /** Called by `Try.end`, once. */
  ended(attempt: Try<T>): void {
    const { candidate, outcome } = attempt
    candidate.inFlight--
    if (outcome === "success") candidate.record.successes++
    else if (outcome === "failure") candidate.record.failures++
    this.balancer.ended?.(attempt)
    if (this.gates.length === 0) return
    for (const gate of this.gates) gate.done?.(attempt)
    // a limit may have room for a call that waits
    this.owner.onChange()
  }

  /** What an error of a reply says of the node. */
  judge(error: KratosError.KratosError): Outcome {
    return this.isFailure(error) ? "failure" : "success"
  }
}

/** An attempt as its owner sees it. */
export class Try<T> implements Attempt {
  readonly candidate: Member<T>
  readonly call: CallShape
  outcome: Outcome | undefined = undefined
  error: KratosError.KratosError | undefined = undefined
  mark = 0
  slot = -1
  private readonly selector: Selector<T>

  constructor(selector: Selector<T>, candidate: Member<T>, call: CallShape) {
    this.selector = selector
    this.candidate = candidate
    this.call = call
  }

  /** The call has its reply: undefined for one that is no error. */
  reply(error: KratosError.KratosError | undefined): void {
    this.end(error === undefined ? "success" : this.selector.judge(error), error)
  }

  /** It has ended. Only the first time counts. */
  end(outcome: Outcome, error?: KratosError.KratosError): void {
    if (this.outcome !== undefined) return
    this.outcome = outcome
    this.error = error
    this.selector.ended(this)
  }
}
