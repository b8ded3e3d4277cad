/**
 * Bounds the calls that run at a time, so that one slow operation cannot take all memory and all connections for itself. Calls above the
 * bound are refused at once, or wait in a queue that is bounded in length and in time.
 *
 * A call counts until its end, a stream until its last message. Calls of one operation share a bound unless `key` says otherwise; a key
 * exists only while one of its calls does, so that callers cannot fill memory with keys.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Aspect from "../Aspect.ts"
import { Call, type CallShape, type Side } from "../Call.ts"
import * as KratosError from "../error/KratosError.ts"

export interface Options {
  /** Most calls at a time. */
  readonly limit: number
  /** Most calls that wait for room. Default 0: none waits. */
  readonly queue?: number | undefined
  /** Longest wait. Default 1 second. */
  readonly wait?: Duration.Input | undefined
  /** Which calls share a bound. Default: those of one operation. */
  readonly key?: ((call: CallShape) => string) | undefined
  /** Most keys with calls at a time; calls of further ones are refused. Default 10,000. */
  readonly maxKeys?: number | undefined
}

/** The reason of both errors: 503 on a server, whose state it is, and 429 on a client, which asks too much at a time. */
export const reason = "BULKHEAD"

export interface Bulkhead extends Aspect.Aspect<KratosError.KratosError> {
  /** Calls that run now, of one key or of all. */
  readonly running: (key?: string) => number
  /** Calls that wait now, of one key or of all. */
  readonly waiting: (key?: string) => number
}

/** Every aspect made has its own counters; one that is given to several servers or clients bounds the calls of all of them. */
export const make = (options: Options): Bulkhead => {
  const { key: keyOf = byOperation, limit, maxKeys = 10_000, queue: most = 0, wait = "1 second" } = options
  const patience = Duration.fromInputUnsafe(wait)
  const cells = new Map<string, Cell>()
  const cellOf = (key: string): Cell | undefined => {
    const found = cells.get(key)
    if (found !== undefined || cells.size >= maxKeys || limit < 1) return found
    const made: Cell = { key, running: 0, waiting: new Set() }
    cells.set(key, made)
    return made
  }
  const leave = (cell: Cell): void => {
    // the place of one that ends goes to the one that has waited longest
    for (const waiter of cell.waiting) {
      cell.waiting.delete(waiter)
      waiter.granted = true
      return waiter.resume?.()
    }
    if (--cell.running === 0) cells.delete(cell.key)
  }
  const message = most === 0 ? `${limit} calls are running` : `${limit} calls are running and ${most} wait`
  const full = {
    server: Aspect.reject(refusal("server", message)),
    client: Aspect.reject(refusal("client", message))
  }
  const sum = (count: (cell: Cell) => number, key: string | undefined): number => {
    if (key !== undefined) return cells.has(key) ? count(cells.get(key)!) : 0
    let total = 0
    for (const cell of cells.values()) total += count(cell)
    return total
  }
  const counts = {
    running: (key?: string) => sum((cell) => cell.running, key),
    waiting: (key?: string) => sum((cell) => cell.waiting.size, key)
  }
  const enter = (cell: Cell): boolean => {
    if (cell.running >= limit) return false
    cell.running++
    return true
  }
  if (most === 0) {
    // nobody waits: two function calls around the fiber
    const aspect = Aspect.observe<Cell, KratosError.KratosError>({
      start: (call) => {
        const cell = cellOf(keyOf(call))
        return cell !== undefined && enter(cell) ? cell : full[call.side]
      },
      end: (_call, _exit, cell) => leave(cell)
    })
    return Object.assign(aspect, counts)
  }
  const aspect: Aspect.Aspect<KratosError.KratosError> = (effect) =>
    Effect.withFiber((fiber) => {
      const call = Context.getUnsafe(fiber.context, Call)
      const cell = cellOf(keyOf(call))
      if (cell === undefined) return full[call.side].exit
      return Effect.uninterruptibleMask((restore) => {
        const run = Effect.onExit(restore(effect), () => Effect.sync(() => leave(cell)))
        if (enter(cell)) return run
        if (cell.waiting.size >= most) return full[call.side].exit
        const late = Effect.suspend(() =>
          Effect.fail(refusal(call.side, `no room within ${Duration.format(patience)}: ${limit} calls are running`))
        )
        const waiter: Waiter = { granted: false, resume: undefined }
        const wait = Effect.timeoutOrElse(turn(cell, waiter), { duration: patience, orElse: () => late })
        return Effect.onExit(restore(wait), (exit) =>
          Effect.sync(() => {
            if (Exit.isSuccess(exit)) return
            // a place that came too late goes on to the next
            if (waiter.granted) leave(cell)
            else cell.waiting.delete(waiter)
          })
        ).pipe(Effect.andThen(run))
      })
    })
  return Object.assign(aspect, counts)
}

interface Cell {
  readonly key: string
  running: number
  /** In order of arrival. */
  readonly waiting: Set<Waiter>
}

interface Waiter {
  granted: boolean
  resume: (() => void) | undefined
}

/** Completes when the place of a call that has ended is given to this one. */
const turn = (cell: Cell, waiter: Waiter): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (waiter.granted) return resume(Effect.void)
    waiter.resume = () => resume(Effect.void)
    cell.waiting.add(waiter)
  })

const byOperation = (call: CallShape): string => call.operation

const refusal = (side: Side, message: string): KratosError.KratosError =>
  side === "server" ? KratosError.serviceUnavailable(reason, message) : KratosError.tooManyRequests(reason, message)
