/**
 * A registry for the processes of one machine, without a server: a directory with one JSON file per instance, `<path>/<name>/<id>.json`.
 *
 * A file appears and changes whole (written aside, then renamed) and goes when its registration ends. A registration renews the time of
 * its file at every heartbeat and writes the file again when someone deleted it; readers skip and delete a file that is older than the
 * time to live, which is how the instances of a killed process disappear. A file that cannot be read is skipped with a warning.
 */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as PlatformError from "effect/PlatformError"
import * as Queue from "effect/Queue"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { fileName } from "../internal/fileName.ts"
import * as Uuid from "../Uuid.ts"
import { Discovery } from "./Discovery.ts"
import { Registrar } from "./Registrar.ts"
import { RegistryError } from "./RegistryError.ts"
import * as ServiceInstance from "./ServiceInstance.ts"

export interface Options {
  /** The directory that all processes share. It is created when it is missing, and belongs to the registry alone. */
  readonly path: string
  /** How often a registration renews its file. Default: 5 seconds. */
  readonly heartbeat?: Duration.Input | undefined
  /** The age at which a file counts as left behind. Default: 3 heartbeats. */
  readonly ttl?: Duration.Input | undefined
  /** How often a watcher looks by itself: for files that grew old, and where the file system reports no changes. Default: 5 seconds. */
  readonly poll?: Duration.Input | undefined
}

type Instances = ReadonlyArray<ServiceInstance.ServiceInstance>

/** Files beyond this number in one service's directory are not read. */
const maxFiles = 4096

export const layer = (options: Options): Layer.Layer<Registrar | Discovery, never, FileSystem.FileSystem | Path.Path> =>
  Layer.effectContext(make(options))

export const layerConfig = (
  config: Config.Wrap<Options>
): Layer.Layer<Registrar | Discovery, Config.ConfigError, FileSystem.FileSystem | Path.Path> =>
  Layer.unwrap(Effect.map(Config.unwrap(config), layer))

const make = Effect.fnUntraced(function* (options: Options) {
  const { heartbeat = Duration.seconds(5), poll = Duration.seconds(5) } = options
  const { path: root, ttl = Duration.times(Duration.fromInputUnsafe(heartbeat), 3) } = options
  const ttlMillis = Duration.toMillis(Duration.fromInputUnsafe(ttl))
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path

  /** Who wrote a file last in this process: closing an earlier registration must not take away a later one. */
  const owners = new Map<string, object>()
  /** Writing and removing take turns, so that each sees the file as its owner left it. */
  const turn = yield* Semaphore.make(1)
  /** Broken files that were warned of, by their time of change. */
  const warned = new Map<string, number>()

  const segment = (method: string, text: string): Effect.Effect<string, RegistryError> => {
    const name = fileName(text)
    return name === undefined
      ? Effect.fail(new RegistryError({ method, cause: new Error(`not a file name: "${text}"`), permanent: true }))
      : Effect.succeed(name)
  }
  const directory = (method: string, name: string) => Effect.map(segment(method, name), (name) => path.join(root, name))

  const renew = (file: string): Effect.Effect<void, PlatformError.PlatformError> =>
    // the file system counts seconds
    Effect.flatMap(Clock.currentTimeMillis, (now) => fs.utimes(file, now / 1000, now / 1000))

  const write = Effect.fnUntraced(function* (file: string, text: string) {
    const aside = path.join(path.dirname(file), `.${yield* Uuid.random}.tmp`)
    yield* fs.makeDirectory(path.dirname(file), { recursive: true })
    yield* fs.writeFileString(aside, text).pipe(
      Effect.andThen(renew(aside)),
      Effect.andThen(fs.rename(aside, file)),
      Effect.onError(() => Effect.ignore(fs.remove(aside, { force: true })))
    )
  })

  const register = Effect.fnUntraced(function* (instance: ServiceInstance.ServiceInstance) {
    const fail = Effect.mapError(
      (cause: PlatformError.PlatformError) =>
        new RegistryError({ method: "register", cause, ...(isUnusable(cause) ? { permanent: true } : {}) })
    )
    const text = ServiceInstance.encode(instance)
    // what readers would refuse is refused here
    yield* Effect.mapError(ServiceInstance.decode(text), (cause) => new RegistryError({ method: "register", cause, permanent: true }))
    const file = path.join(yield* directory("register", instance.name), `${yield* segment("register", instance.id)}.json`)
    const self = {}
    const mine = Effect.sync(() => owners.get(file) === self)

    yield* Effect.acquireRelease(
      turn.withPermit(
        Effect.andThen(
          fail(write(file, text)),
          Effect.sync(() => owners.set(file, self))
        )
      ),
      () =>
        Effect.sync(() => owners.delete(file)).pipe(
          // another process may have taken the id over since
          Effect.andThen(fs.readFileString(file)),
          Effect.flatMap((content) => (content === text ? fs.remove(file) : Effect.void)),
          Effect.catchIf(isNotFound, () => Effect.void),
          Effect.catch((error) => Effect.logWarning(`could not remove ${file}`, error)),
          Effect.when(mine),
          turn.withPermit
        )
    )
    const beat = renew(file).pipe(
      Effect.catchIf(isNotFound, () => Effect.andThen(Effect.logWarning(`${file} was gone and is written again`), write(file, text))),
      Effect.catch((error) => Effect.logWarning(`could not renew ${file}`, error)),
      Effect.when(mine),
      turn.withPermit,
      // a write that goes on after the release would bring the file back
      Effect.uninterruptible
    )
    yield* Effect.forkScoped(Effect.forever(Effect.delay(beat, heartbeat)))
  })

  const warnOnce = (file: string, changed: number, cause: unknown) =>
    Effect.suspend(() => {
      if (warned.get(file) === changed) return Effect.void
      if (warned.size >= maxFiles) warned.clear()
      warned.set(file, changed)
      return Effect.logWarning(`${file} is not an instance and is skipped`, cause)
    })

  const read = (name: string, file: string, now: number): Effect.Effect<Option.Option<ServiceInstance.ServiceInstance>> =>
    Effect.gen(function* () {
      const stat = yield* fs.stat(file)
      const changed = Option.match(stat.mtime, { onNone: () => now, onSome: (time) => time.getTime() })
      if (now - changed > ttlMillis) {
        yield* Effect.logDebug(`${file} was left behind and is removed`)
        yield* fs.remove(file, { force: true })
        return Option.none()
      }
      if (!file.endsWith(".json")) return Option.none()
      if (Number(stat.size) > ServiceInstance.maxTextLength * 3)
        return yield* Effect.as(warnOnce(file, changed, "too large"), Option.none())
      const instance = yield* Effect.result(Effect.flatMap(fs.readFileString(file), ServiceInstance.decode))
      if (instance._tag === "Success" && instance.success.name === name && instance.success.id !== "") return Option.some(instance.success)
      if (instance._tag === "Failure" && isNotFound(instance.failure)) return Option.none()
      return yield* Effect.as(
        warnOnce(file, changed, instance._tag === "Failure" ? instance.failure : "it has no id, or another name than its directory"),
        Option.none()
      )
    }).pipe(
      // gone between listing and reading
      Effect.catchIf(isNotFound, () => Effect.succeedNone),
      Effect.catch((error) => Effect.as(Effect.logWarning(`could not read ${file}`, error), Option.none()))
    )

  const get = Effect.fnUntraced(function* (name: string) {
    const folder = yield* directory("get", name)
    const list = fs.readDirectory(folder).pipe(
      Effect.catchIf(isNotFound, () => Effect.succeed([])),
      Effect.mapError((cause) => new RegistryError({ method: "get", cause }))
    )
    const entries = yield* list
    const files = entries.filter((entry) => entry.endsWith(entry.startsWith(".") ? ".tmp" : ".json"))
    if (files.length > maxFiles) yield* Effect.logWarning(`${folder} has ${files.length} files, ${maxFiles} are read`)
    const now = yield* Clock.currentTimeMillis
    const found = yield* Effect.forEach(files.slice(0, maxFiles), (file) => read(name, path.join(folder, file), now), { concurrency: 8 })
    // files that went while they were read may have gone with their disk
    if (found.some(Option.isNone)) yield* list
    const byId = new Map(found.flatMap(Option.toArray).map((instance) => [instance.id, instance]))
    return [...byId.values()].sort(ServiceInstance.byId)
  })

  /** Says so when something in the directory of a service may have changed. */
  const changes = (name: string): Stream.Stream<void, RegistryError> =>
    Stream.callback(
      Effect.fnUntraced(function* (queue) {
        const folder = yield* directory("watch", name)
        const tell = () => void Queue.offerUnsafe(queue, undefined)
        const inode = Effect.map(fs.stat(folder), (info) => Option.getOrUndefined(info.ino))
        const follow = Effect.gen(function* () {
          // to its end: nothing is created after the watcher has gone
          yield* Effect.uninterruptible(fs.makeDirectory(folder, { recursive: true }))
          const watched = yield* inode
          yield* Effect.raceFirst(
            Stream.runForEach(fs.watch(folder, { onReady: tell }), () => Effect.sync(tell)),
            // the watcher of a directory that was deleted, or replaced by another, stays silent for ever
            Effect.repeat(Effect.delay(inode, poll), { while: (current) => current === watched })
          )
        })
        tell()
        yield* Effect.forkScoped(Effect.forever(Effect.delay(Effect.sync(tell), poll)))
        yield* follow.pipe(
          Effect.catch((error) => Effect.logDebug(`${folder} cannot be watched, looking by polling only`, error)),
          Effect.andThen(Effect.sleep(poll)),
          Effect.forever,
          Effect.forkScoped
        )
      }),
      { bufferSize: 1, strategy: "sliding" }
    )

  const watch = (name: string): Stream.Stream<Instances, RegistryError> =>
    Stream.suspend(() => {
      let last: Instances | undefined
      return changes(name).pipe(
        Stream.mapEffect(() =>
          get(name).pipe(
            Effect.tap((instances) => Effect.sync(() => (last = instances))),
            // after the first list, trouble with the disk is something to wait out
            Effect.catch((error) => (last === undefined ? Effect.fail(error) : Effect.as(Effect.logWarning(error.message), last)))
          )
        ),
        Stream.changesWith(ServiceInstance.equalLists)
      )
    })

  return Context.make(Registrar, { register }).pipe(Context.add(Discovery, { get, watch }))
})

const isNotFound = (error: unknown): boolean => PlatformError.isPlatformError(error) && error.reason._tag === "NotFound"

/** A file in place of the directory, or one that is not ours: nothing that goes by itself. */
const isUnusable = ({ reason }: PlatformError.PlatformError): boolean => reason._tag === "BadResource" || reason._tag === "PermissionDenied"
