/**
 * The process as the App sees it: signals, the exit, a timer that does not keep it alive. Read off `globalThis` by its shape, so that
 * core runs where there is no such thing; a reference, so that tests give it another one.
 */
import * as Context from "effect/Context"

export type Listener = (...args: ReadonlyArray<unknown>) => void

export interface Process {
  /** Adds a listener in front of the others: the first to hear is the one that knows what the exit code will mean. */
  readonly on: (event: string, listener: Listener) => void
  readonly off: (event: string, listener: Listener) => void
  readonly listeners: (event: string) => ReadonlyArray<Listener>
  readonly exit: (code: number) => void
  /** The code that the process will exit with. */
  exitCode: number | undefined
  /** Runs `task` in `millis`, unless cancelled. The wait does not keep the process alive, which a sleeping fiber would. */
  readonly timer: (millis: number, task: () => void) => () => void
}

/** What Node, Deno and Bun have in common. */
interface Host {
  readonly prependListener: (event: string, listener: Listener) => unknown
  readonly removeListener: (event: string, listener: Listener) => unknown
  readonly rawListeners: (event: string) => ReadonlyArray<Listener>
  readonly exit: (code: number) => unknown
  exitCode?: number | string | null | undefined
}

const isHost = (process: unknown): process is Host =>
  typeof process === "object" &&
  process !== null &&
  ["prependListener", "removeListener", "rawListeners", "exit"].every((name) => typeof Reflect.get(process, name) === "function")

const detect = (): Process | undefined => {
  const host: unknown = Reflect.get(globalThis, "process")
  if (!isHost(host)) return undefined
  return {
    on: (event, listener) => {
      try {
        host.prependListener(event, listener)
      } catch {
        // a signal that this platform does not have never arrives
      }
    },
    off: (event, listener) => void host.removeListener(event, listener),
    listeners: (event) => host.rawListeners(event),
    exit: (code) => void host.exit(code),
    get exitCode() {
      return typeof host.exitCode === "number" ? host.exitCode : undefined
    },
    set exitCode(code) {
      host.exitCode = code
    },
    timer: (millis, task) => {
      const handle: unknown = setTimeout(task, Math.min(millis, maxTimer))
      if (typeof handle === "object" && handle !== null && "unref" in handle && typeof handle.unref === "function") handle.unref()
      // what setTimeout returned is what clearTimeout takes
      return () => clearTimeout(handle as Parameters<typeof clearTimeout>[0])
    }
  }
}

/** Timers of hosts count in 32 bits. */
const maxTimer = 2_147_483_647

/** The process around; undefined in a browser. */
export const Process: Context.Reference<Process | undefined> = Context.Reference<Process | undefined>(
  "@effect-kratos/core/internal/process/Process",
  { defaultValue: detect }
)
