/**
 * Config in a file, or in the files of a directory (not below it). The ending of a name is its format. Hidden files and those that editors leave for a moment
 * are no config. A file that is replaced by a rename, or by another target of a symbolic link as Kubernetes does for mounted ConfigMaps, is a change.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { type ConfigSource, formatOf, type KeyValue } from "./ConfigSource.ts"
import { ConfigSourceError } from "./ConfigSourceError.ts"

export interface Options {
  /** How often it is looked at besides, where the file system tells of no changes. Default 5 seconds. */
  readonly poll?: Duration.Input | undefined
  /** How long nothing may have changed before it is read, so that a file is not read while it is written. Default 25 milliseconds. */
  readonly settle?: Duration.Input | undefined
  /** The format in place of what the ending says; for a single file. */
  readonly format?: string | undefined
}

/** More than these files in a directory are an error. */
const maxFiles = 1024

/** What editors leave: `a~`, `#a#`, `a.swp`, Vim's probe `4913`, and files on their way to a rename. */
const isTemporary = (name: string): boolean => name.startsWith(".") || /^#.*#$|~$|\.(sw[a-z]|tmp|bak|part)$|^4913$/i.test(name)

export const make = Effect.fnUntraced(function* (path: string, options: Options = {}) {
  const { format, poll = "5 seconds", settle = "25 millis" } = options
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const fail = (key: string) => (cause: unknown) => new ConfigSourceError({ source: path, key, cause })

  const read = (file: string, key: string): Effect.Effect<KeyValue, PlatformError.PlatformError> =>
    Effect.map(fs.readFileString(file), (value) => ({ key, value, format: format ?? formatOf(key) }))

  const load: ConfigSource["load"] = Effect.gen(function* () {
    const { type } = yield* Effect.mapError(fs.stat(path), fail(""))
    if (type !== "Directory") return [yield* Effect.mapError(read(path, paths.basename(path)), fail(""))]
    const names = (yield* Effect.mapError(fs.readDirectory(path), fail(""))).filter((name) => !isTemporary(name)).sort()
    if (names.length > maxFiles) return yield* fail("")(new Error(`${names.length} files, ${maxFiles} are allowed`))
    const found = yield* Effect.forEach(
      names,
      (name) => {
        const file = paths.join(path, name)
        return fs.stat(file).pipe(
          Effect.flatMap((info) => (info.type === "File" ? Effect.asSome(read(file, name)) : Effect.succeedNone)),
          // gone between listing and reading
          Effect.catchIf(
            ({ reason }) => reason._tag === "NotFound",
            () => Effect.succeedNone
          ),
          Effect.mapError(fail(name))
        )
      },
      { concurrency: 8 }
    )
    return found.flatMap(Option.toArray)
  })

  /** Tells that something may have changed. */
  const events = Stream.callback<void>(
    Effect.fnUntraced(function* (queue) {
      const tell = () => void Queue.offerUnsafe(queue, undefined)
      tell()
      yield* Effect.forkScoped(Effect.repeat(Effect.sync(tell), Schedule.spaced(poll)))
      // A file is followed through its directory: a watch on the file itself ends with the first rename. Links lead elsewhere, and there the change is.
      const watched = Effect.gen(function* () {
        const real = yield* Effect.orElseSucceed(fs.realPath(path), () => path)
        const isDirectory = yield* Effect.match(fs.stat(path), { onFailure: () => false, onSuccess: ({ type }) => type === "Directory" })
        return [...new Set(isDirectory ? [path] : [paths.dirname(path), paths.dirname(real)])]
      })
      const follow = Effect.flatMap(watched, (folders) =>
        Effect.forEach(folders, (folder) => Stream.runForEach(fs.watch(folder, { onReady: tell }), () => Effect.sync(tell)), {
          concurrency: "unbounded",
          discard: true
        })
      )
      yield* follow.pipe(
        Effect.catch((error) => Effect.logDebug(`config: ${path} cannot be watched, looking by polling only`, error)),
        Effect.andThen(Effect.sleep(poll)),
        Effect.forever,
        Effect.forkScoped
      )
    }),
    { bufferSize: 1, strategy: "sliding" }
  )

  /** What was read is taken when it is the same after a while: an empty or half-written file is then a whole one. */
  const settled: ConfigSource["load"] = Effect.gen(function* () {
    let before = yield* load
    while (true) {
      yield* Effect.sleep(settle)
      const after = yield* load
      if (same(before, after)) return after
      before = after
    }
  })

  const source: ConfigSource = {
    name: path,
    load,
    changes: Stream.suspend(() => {
      let last: ReadonlyArray<KeyValue> | undefined
      return Stream.filterMapEffect(events, () =>
        Effect.gen(function* () {
          const list = yield* load
          if (last !== undefined && same(last, list)) return Result.failVoid
          const taken = last === undefined ? list : yield* settled
          if (last !== undefined && same(last, taken)) return Result.failVoid
          last = taken
          return Result.succeed(taken)
        })
      )
    })
  }
  return source
})

const same = (a: ReadonlyArray<KeyValue>, b: ReadonlyArray<KeyValue>): boolean =>
  a.length === b.length && a.every((one, i) => one.key === b[i]!.key && one.value === b[i]!.value)
