/**
 * Watching a registry that comes and goes, for discoveries of any vendor: they say how one connection is followed, this keeps following.
 *
 * While the registry is away, readers keep the last list that they got; when it is back, it is asked for the whole list, and what has changed in the
 * meantime is one change. An empty list is a list: it is what the registry says, not what is known of a registry that says nothing.
 *
 * A registry that was away may have lost instances that are alive and will register again, so what it lists no more stays for a while after its return.
 * One that is gone indeed costs its callers an attempt to connect; a list that is empty too soon would cost them all calls.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as Backoff from "./Backoff.ts"
import * as ServiceInstance from "./ServiceInstance.ts"

type Instances = ReadonlyArray<ServiceInstance.ServiceInstance>

export interface Options<E, R> {
  /** What is watched where, for the log: `greeter in etcd`. No credentials. */
  readonly name: string
  /** One connection: the whole list first, then the whole list after every change, in any order. The registry is away when it fails or ends. */
  readonly follow: Stream.Stream<Instances, E, R>
  readonly backoff?: Backoff.Options | undefined
  /** How long after the registry's return instances stay that it does not list. Default: 15 seconds, in which `Registration` has tried at least once. */
  readonly settle?: Duration.Input | undefined
}

/**
 * The lists by id, without repetitions. A slow reader gets the last one. Fails when the registry fails before it has said anything; after that it is
 * waited for, and the stream does not end.
 */
export const keep = <E, R>(options: Options<E, R>): Stream.Stream<Instances, E, R> => {
  const delay = Backoff.make(options.backoff)
  const { follow, name } = options
  const settle = Duration.fromInputUnsafe(options.settle ?? "15 seconds")
  return Stream.callback<Instances, E, R>(
    (queue) =>
      Effect.gen(function* () {
        let known = false
        let failures = 0
        let told: Instances = []
        let listed: Instances = []
        /** What was known when the registry came back. */
        let remembered: Instances = []
        let settling: Fiber.Fiber<void> | undefined
        const tell = Effect.sync(() => {
          const ids = new Set(listed.map(({ id }) => id))
          // one that is listed again and then leaves has left
          remembered = remembered.filter(({ id }) => !ids.has(id))
          told = [...listed, ...remembered].sort(ServiceInstance.byId)
          Queue.offerUnsafe(queue, told)
        })
        const forget = Effect.suspend(() => {
          remembered = []
          return tell
        })
        const returned = Effect.gen(function* () {
          yield* Effect.logInfo(`${name}: the registry is back`)
          if (Duration.isZero(settle)) return
          remembered = told
          if (settling !== undefined) yield* Fiber.interrupt(settling)
          settling = yield* Effect.forkScoped(Effect.delay(forget, settle))
        })
        const take = (list: Instances) =>
          Effect.suspend(() => {
            const back = known && failures > 0
            known = true
            failures = 0
            listed = list
            return back ? Effect.andThen(returned, tell) : tell
          })
        for (;;) {
          const exit = yield* Effect.exit(Stream.runForEach(follow, take))
          if (!known && Exit.isFailure(exit)) return yield* Queue.failCause(queue, exit.cause)
          if (failures === 0) {
            yield* Effect.logWarning(`${name}: the registry is away, the last list stays`, ...(Exit.isFailure(exit) ? [exit.cause] : []))
          }
          yield* Effect.sleep(yield* delay(failures++))
        }
      }),
    { bufferSize: 1, strategy: "sliding" }
  ).pipe(Stream.changesWith(ServiceInstance.equalLists))
}
