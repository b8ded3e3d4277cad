/**
 * Layers of `CpuUsage`: where an adaptive limiter learns how busy this process is. A sampler gives a share in permille of what could have
 * been used since it was asked last; `layer` takes the highest of those that mean something here.
 *
 * JavaScript runs on one thread. On a machine with eight processors it is exhausted at an eighth of them, which no measure of processor
 * time shows, so the utilisation of the event loop counts as well: the share of time in which it was not waiting for events.
 */
import * as CpuUsage from "@effect-kratos/aegis/CpuUsage"
import * as EventLoop from "@effect-kratos/aegis/EventLoop"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { availableParallelism } from "node:os"
import { performance } from "node:perf_hooks"
import * as Cgroup from "./Cgroup.ts"
import * as LoopTurn from "./LoopTurn.ts"
import * as TurnScheduler from "./TurnScheduler.ts"

/** Given a time in nanoseconds, the share in permille since the time before; undefined the first time, and when nothing is known. */
export type Sampler = (now: number) => number | undefined

/**
 * The share of the processor time that the control group may use. As in aegis: usage ÷ (elapsed time × quota), where the quota is the lower one
 * of the processors in the group's set and the time that it may use; all processors when there is neither.
 */
export const cgroup = (read: Cgroup.ReadFile = Cgroup.readFile, processors: number = availableParallelism()): Sampler => {
  const group = Cgroup.detect(read)
  return share(
    () => group?.usage(),
    () => group?.quota() ?? processors
  )
}

/** The share that this process has of the processors; `cpuUsage` is in microseconds, as Node's. */
export const process = (
  cpuUsage: () => { readonly user: number; readonly system: number } = () => globalThis.process.cpuUsage(),
  processors: number = availableParallelism()
): Sampler =>
  share(
    () => {
      const { system, user } = cpuUsage()
      return (user + system) * 1000
    },
    () => processors
  )

/** The share of time in which the event loop was not waiting for events. */
export const eventLoop = (
  utilization: () => { readonly active: number; readonly idle: number } = () => performance.eventLoopUtilization()
): Sampler => {
  let last: { readonly active: number; readonly idle: number } | undefined
  return () => {
    const before = last
    last = utilization()
    if (before === undefined) return undefined
    const active = last.active - before.active
    const elapsed = active + last.idle - before.idle
    return elapsed > 0 ? (active / elapsed) * 1000 : undefined
  }
}

/** The highest of what the samplers say. */
export const highest =
  (...samplers: ReadonlyArray<Sampler>): Sampler =>
  (now) => {
    let result: number | undefined
    for (const sampler of samplers) {
      const sample = sampler(now)
      if (sample !== undefined && (result === undefined || sample > result)) result = sample
    }
    return result
  }

/**
 * The control group where it is limited, else the process; and the event loop. The group of a process on a machine of its own is often that of
 * everything that runs there.
 */
export const standard = (read: Cgroup.ReadFile = Cgroup.readFile, own: Sampler = process(), loop: Sampler = eventLoop()): Sampler =>
  highest(Cgroup.detect(read)?.limit() === undefined ? own : cgroup(read), loop)

/**
 * Asks `sampler` every 250 ms and smooths what it says, `CpuUsage.responsive` unless told otherwise: as slow as Kratos is to notice, calls have
 * queued for many seconds when the limiter begins to work.
 */
export const layerSampler = (sampler: () => Sampler, options: CpuUsage.Options = CpuUsage.responsive): Layer.Layer<CpuUsage.CpuUsage> =>
  Layer.effect(
    CpuUsage.CpuUsage,
    Effect.suspend(() => {
      const sample = sampler()
      const now = Clock.clockWith((clock) => Effect.sync(() => sample(Number(clock.monotonicTimeNanosUnsafe()))))
      // the first question only says from when on
      return Effect.andThen(now, CpuUsage.make(now, options))
    })
  )

export const layerCgroup = (options?: CpuUsage.Options): Layer.Layer<CpuUsage.CpuUsage> => layerSampler(() => cgroup(), options)

export const layerProcess = (options?: CpuUsage.Options): Layer.Layer<CpuUsage.CpuUsage> => layerSampler(() => process(), options)

/** The event loop alone, with its delay. */
export const layerEventLoop = (options?: CpuUsage.Options): Layer.Layer<CpuUsage.CpuUsage> =>
  withLoop(layerSampler(() => eventLoop(), options))

/** What servers should use: control group or process, and the event loop, with its delay. */
export const layer = (options?: CpuUsage.Options): Layer.Layer<CpuUsage.CpuUsage> => withLoop(layerSampler(() => standard(), options))

/** Measures how late this thread's event loop is as well. The timer by which it does waits for its turn as calls do. */
const withLoop = (usage: Layer.Layer<CpuUsage.CpuUsage>): Layer.Layer<CpuUsage.CpuUsage> =>
  Layer.effect(
    CpuUsage.CpuUsage,
    Effect.gen(function* () {
      const scheduler = TurnScheduler.make(yield* Clock.Clock)
      const platform = { active: () => performance.eventLoopUtilization().active, nextTurn: LoopTurn.next, scheduler }
      const { permille } = yield* CpuUsage.CpuUsage
      return { permille, loop: yield* EventLoop.make(platform) }
    })
  ).pipe(Layer.provide(usage))

/** The share of `quota` processors that a growing count of nanoseconds shows. */
const share = (usage: () => number | undefined, quota: () => number): Sampler => {
  let lastUsage: number | undefined
  let lastNow = 0
  return (now) => {
    const before = lastUsage
    const elapsed = now - lastNow
    const after = usage()
    lastUsage = after
    lastNow = now
    // a count that went back belongs to another group
    if (before === undefined || after === undefined || elapsed <= 0 || after < before) return undefined
    return ((after - before) / (elapsed * quota())) * 1000
  }
}
