/** The codecs of Kratos itself, in a program of Go under `interop/peers/codecs`, which answers questions in their order. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"

export type Codec =
  | "v2/json"
  | "v2/form"
  | "v2/proto"
  | "v2/xml"
  | "v2/yaml"
  | "v3/json"
  | "v3/protojson"
  | "v3/form"
  | "v3/proto"
  | "v3/xml"
  | "v3/yaml"
  | "msgpack"

/** The bytes that a codec made, or what it says instead. */
export type Answer = { readonly data: Uint8Array } | { readonly error: string }

export interface GoPeer {
  /** `encode` takes binary protobuf, `decode` makes it. */
  readonly ask: (op: "encode" | "decode", codec: Codec, type: string, data: Uint8Array) => Promise<Answer>
  readonly close: () => void
}

/** Where the programs are, built once into the cache folder; undefined where there is no Go. */
export const folder = (): string | undefined => {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "effect-kratos", "interop", "go")
  mkdirSync(cache, { recursive: true })
  const built = spawnSync(join(import.meta.dirname, "../../../../interop/peers/codecs/build.sh"), [cache], { timeout: 300_000 })
  return built.status === 0 ? cache : undefined
}

export const start = (folder: string): GoPeer => {
  const child: ChildProcess = spawn(join(folder, "kratos-codecs"), [], { stdio: ["pipe", "pipe", "inherit"] })
  const waiting: Array<(line: string) => void> = []
  let next = 0
  let rest: Array<string> = []
  child.stdout!.setEncoding("utf8")
  child.stdout!.on("data", (chunk: string) => {
    const lines = chunk.split("\n")
    rest.push(lines[0]!)
    if (lines.length === 1) return
    lines[0] = rest.join("")
    rest = [lines.pop()!]
    for (const line of lines) waiting[next++]!(line)
    if (next > 1_000) {
      waiting.splice(0, next)
      next = 0
    }
  })
  const gone = new Promise<never>((_, reject) => child.once("close", () => reject(new Error("the program of Go has ended"))))
  gone.catch(() => {})
  return {
    ask: (op, codec, type, data) => {
      const answer = new Promise<Answer>((resolve) => {
        waiting.push((line) => {
          const { data = "", error } = JSON.parse(line) as { readonly data?: string; readonly error?: string }
          resolve(error === undefined ? { data: new Uint8Array(Buffer.from(data, "base64")) } : { error })
        })
      })
      child.stdin!.write(`${JSON.stringify({ op, codec, type, data: Buffer.from(data).toString("base64") })}\n`)
      return Promise.race([answer, gone])
    },
    close: () => void child.stdin!.end()
  }
}
