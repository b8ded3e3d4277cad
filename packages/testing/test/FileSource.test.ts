import type { KeyValue } from "@effect-kratos/core/config/ConfigSource"
import * as FileSource from "@effect-kratos/core/config/FileSource"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as Stream from "effect/Stream"
import * as ConfigSourceLaws from "../src/ConfigSourceLaws.ts"

const place = (options: FileSource.Options = {}) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const root = path.join(yield* fs.makeTempDirectoryScoped({ prefix: "config-" }), "config")
    yield* fs.makeDirectory(root)
    return {
      source: yield* FileSource.make(root, options),
      write: (name: string, text: string) => fs.writeFileString(path.join(root, name), text),
      remove: (name: string) => fs.remove(path.join(root, name)),
      cut: Effect.acquireRelease(fs.rename(root, `${root}-away`), () => Effect.orDie(fs.rename(`${root}-away`, root)))
    }
  })

/** A file system that reports no changes, as some network file systems. */
const deaf = Layer.effect(
  FileSystem.FileSystem,
  Effect.map(FileSystem.FileSystem, (fs) => ({ ...fs, watch: () => Stream.never }))
)

ConfigSourceLaws.suite("directory", place(), NodeServices.layer)
ConfigSourceLaws.suite("directory, polling", place({ poll: "20 millis" }), deaf.pipe(Layer.provideMerge(NodeServices.layer)))

const texts = (list: ReadonlyArray<KeyValue>) => Object.fromEntries(list.map(({ key, value }) => [key, value]))

const test = <A, E>(
  name: string,
  body: (
    fs: FileSystem.FileSystem,
    at: (...names: ReadonlyArray<string>) => string
  ) => Effect.Effect<A, E, FileSystem.FileSystem | Path.Path>
) =>
  it.live(name, () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const root = yield* fs.makeTempDirectoryScoped({ prefix: "config-" })
      return yield* body(fs, (...names) => path.join(root, ...names))
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

/** Lists until `predicate` holds. */
const until = (lists: Stream.Stream<ReadonlyArray<KeyValue>, unknown>, predicate: (texts: Record<string, string>) => boolean) =>
  Stream.runHead(Stream.filter(Stream.map(lists, texts), predicate))

describe("FileSource", () => {
  test("leaves out hidden files, what editors leave, and folders", (fs, at) =>
    Effect.gen(function* () {
      for (const name of ["a.yaml", ".hidden.yaml", "a.yaml~", "#a.yaml#", ".#a.yaml", "a.yaml.swp", "4913", "a.yaml.tmp"]) {
        yield* fs.writeFileString(at(name), "a: 1")
      }
      yield* fs.makeDirectory(at("below"))
      yield* fs.writeFileString(at("below", "b.yaml"), "b: 1")
      const source = yield* FileSource.make(at())
      assert.deepStrictEqual(texts(yield* source.load), { "a.yaml": "a: 1" })
    }))
  test("a file that is missing is an error that names it", (_, at) =>
    Effect.gen(function* () {
      const source = yield* FileSource.make(at("no.yaml"))
      const error = yield* Effect.flip(source.load)
      assert.strictEqual(error._tag, "ConfigSourceError")
      assert.include(error.message, at("no.yaml"))
    }))
  test("one file: replaced by a rename, again and again", (fs, at) =>
    Effect.gen(function* () {
      yield* fs.writeFileString(at("app.yaml"), "0")
      const source = yield* FileSource.make(at("app.yaml"), { poll: "1 minute" })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const lists = Stream.fromPull(Effect.succeed(yield* Stream.toPull(source.changes)))
          for (let i = 0; i < 5; i++) {
            yield* until(lists, (texts) => texts["app.yaml"] === String(i))
            yield* fs.writeFileString(at("new"), String(i + 1))
            yield* fs.rename(at("new"), at("app.yaml"))
          }
        })
      )
    }))
  test("a ConfigMap as Kubernetes mounts it: the link `..data` is swapped", (fs, at) =>
    Effect.gen(function* () {
      const publish = (version: number) =>
        Effect.gen(function* () {
          yield* fs.makeDirectory(at(`..v${version}`))
          yield* fs.writeFileString(at(`..v${version}`, "app.yaml"), `a: ${version}`)
          yield* fs.symlink(`..v${version}`, at("..data_tmp"))
          yield* fs.rename(at("..data_tmp"), at("..data"))
          if (version > 0) yield* fs.remove(at(`..v${version - 1}`), { recursive: true })
        })
      yield* publish(0)
      yield* fs.symlink("..data/app.yaml", at("app.yaml"))
      const whole = yield* FileSource.make(at(), { poll: "1 minute" })
      const one = yield* FileSource.make(at("app.yaml"), { poll: "1 minute" })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const pulls = [yield* Stream.toPull(whole.changes), yield* Stream.toPull(one.changes)]
          for (let version = 0; version < 4; version++) {
            for (const pull of pulls) yield* until(Stream.fromPull(Effect.succeed(pull)), (texts) => texts["app.yaml"] === `a: ${version}`)
            yield* publish(version + 1)
          }
        })
      )
    }))
  test("a file that is emptied and written in pieces is told whole", (fs, at) =>
    Effect.gen(function* () {
      yield* fs.writeFileString(at("app.yaml"), "a: 0\n")
      const source = yield* FileSource.make(at("app.yaml"), { poll: "1 minute", settle: "100 millis" })
      const told: Array<string> = []
      yield* Effect.scoped(
        Effect.gen(function* () {
          const lists = Stream.fromPull(Effect.succeed(yield* Stream.toPull(source.changes))).pipe(
            Stream.tap((list) => Effect.sync(() => told.push(list[0]!.value)))
          )
          yield* until(lists, (texts) => texts["app.yaml"] === "a: 0\n")
          yield* fs.writeFileString(at("app.yaml"), "")
          for (const piece of ["a:", " 1", "\n", "b:", " 2\n"]) yield* fs.writeFileString(at("app.yaml"), piece, { flag: "a" })
          yield* until(lists, (texts) => texts["app.yaml"] === "a: 1\nb: 2\n")
        })
      )
      assert.deepStrictEqual(told, ["a: 0\n", "a: 1\nb: 2\n"])
    }))
})
