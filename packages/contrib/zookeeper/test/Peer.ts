/** Another client of ZooKeeper (kazoo, for Python) that says what is there, and writes what Kratos would. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

const python = "/usr/bin/python3"

export const missing = existsSync("/usr/lib/python3/dist-packages/kazoo") ? undefined : "no python3-kazoo on this machine"

const script = fileURLToPath(new URL("fixtures/peer.py", import.meta.url))
const run = (...args: ReadonlyArray<string>) =>
  Effect.callback<string>((resume) => {
    const child = execFile(python, [script, ...args], { timeout: 30_000 }, (error, stdout, stderr) =>
      resume(error === null ? Effect.succeed(stdout) : Effect.die(new Error(`peer.py ${args.join(" ")}: ${stderr}`)))
    )
    return Effect.sync(() => void child.kill())
  })

const Nodes = Schema.fromJsonString(
  Schema.Array(
    Schema.Struct({
      path: Schema.String,
      data: Schema.String,
      ephemeral: Schema.Boolean,
      acl: Schema.Array(Schema.Tuple([Schema.Int, Schema.String, Schema.String]))
    })
  )
)

/** A node and all below it, in order of their paths. */
export const dump = (endpoint: string, path: string, ...credentials: ReadonlyArray<string>) =>
  Effect.flatMap(run(endpoint, "dump", path, ...credentials), Schema.decodeUnknownEffect(Nodes))

export const put = (endpoint: string, path: string, text: string) => run(endpoint, "put", path, text)
