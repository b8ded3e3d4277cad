import * as Directory from "@effect-kratos/core/registry/Directory"
import * as Memory from "@effect-kratos/core/registry/Memory"
import type { Discovery } from "@effect-kratos/core/registry/Discovery"
import type { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as RegistryLaws from "@effect-kratos/testing/RegistryLaws"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Path from "effect/Path"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

const quiet = Logger.layer([])

// one process is all there is
RegistryLaws.suite(
  "memory",
  Effect.map(Layer.build(Layer.fresh(Memory.layer)), (context): RegistryLaws.Place => ({ connect: Effect.succeed(context) })),
  quiet
)

const TTL = 1500

const directory = (
  options: Omit<Directory.Options, "path">
): Effect.Effect<RegistryLaws.Place, unknown, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const services = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
    const temp = yield* fs.makeTempDirectoryScoped({ prefix: "registry-" })
    // a link, so that the disk can be taken away in one step
    const root = `${temp}/registry`
    yield* fs.makeDirectory(`${temp}/disk`)
    yield* fs.writeFileString(`${temp}/none`, "")
    const point = (to: string) => Effect.andThen(fs.symlink(`${temp}/${to}`, `${temp}/next`), fs.rename(`${temp}/next`, root))
    yield* point("disk")
    const connect: Effect.Effect<Context.Context<Registrar | Discovery>, never, Scope.Scope> = Layer.build(
      Layer.fresh(Directory.layer({ path: root, heartbeat: "100 millis", ttl: TTL, ...options }))
    ).pipe(Effect.provideContext(services))
    const file = ({ id, name }: ServiceInstance.ServiceInstance) => `${root}/${name}/${id}.json`
    return {
      connect,
      forget: (instance) => fs.remove(file(instance), { force: true }),
      // what a process leaves that is killed after its last heartbeat
      killed: (instance) =>
        Effect.gen(function* () {
          yield* fs.makeDirectory(`${root}/${instance.name}`, { recursive: true })
          const now = (yield* Clock.currentTimeMillis) / 1000
          yield* fs.writeFileString(`${root}/aside`, ServiceInstance.encode(instance))
          yield* fs.utimes(`${root}/aside`, now, now)
          yield* fs.rename(`${root}/aside`, file(instance))
        }),
      // a disk that is taken away
      cut: Effect.acquireRelease(point("none"), () => Effect.orDie(point("disk")))
    }
  })

/** A file system that reports no changes, as some network file systems. */
const deaf = Layer.effect(
  FileSystem.FileSystem,
  Effect.map(FileSystem.FileSystem, (fs) => ({ ...fs, watch: () => Stream.never }))
)

// a watch reads the whole directory after each change, and a heartbeat writes each file: a thousand take half a minute
RegistryLaws.suite("directory", directory({ poll: "100 millis" }), Layer.merge(NodeServices.layer, quiet), { many: 200 })
RegistryLaws.suite(
  "directory, polling",
  directory({ poll: "20 millis" }),
  Layer.merge(Layer.provideMerge(deaf, NodeServices.layer), quiet),
  { many: 100 }
)
