/** What the config is and where each value comes from, for `--print-config`. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import { ConfigStore } from "./ConfigStore.ts"
import * as Tree from "./ConfigTree.ts"
import * as Snapshot from "./Snapshot.ts"

export interface Options {
  /** Dotted paths whose values are not shown, with all below them, beside those that look like secrets by their name and those of secret sources. */
  readonly secrets?: ReadonlyArray<string> | undefined
}

/** Names whose values are nobody's business. */
const secretName = /pass(word|wd|phrase)?$|secret|token|credential|api_?key|private_?key|^dsn$|authorization/i
/** `user:password@` in a URL. */
const userInfo = /(\/\/[^/@\s:]*):[^/@\s]+@/g

/** One line a value: dotted path, value as JSON, and the source with its document. */
export const format = (snapshot: Snapshot.Snapshot, options: Options = {}): string => {
  const secrets = options.secrets ?? []
  const rows = Tree.leaves(snapshot.tree).map(([path, value]) => {
    const name = path.join(".")
    const origin = Snapshot.origin(snapshot, path)
    const hidden =
      origin?.secret === true ||
      path.some((key) => secretName.test(key)) ||
      secrets.some((one) => name === one || name.startsWith(`${one}.`))
    const from =
      origin === undefined ? "" : origin.key === origin.source || origin.key === "" ? origin.source : `${origin.source}, ${origin.key}`
    return { left: `${name} = ${hidden ? "<redacted>" : JSON.stringify(value).replace(userInfo, "$1:<redacted>@")}`, from }
  })
  const width = Math.min(72, Math.max(0, ...rows.map(({ left }) => left.length)))
  return rows.map(({ from, left }) => `${left.padEnd(width)}  # ${from}`).join("\n")
}

/** Prints the config in place of running `program` when the command line has `--print-config`. */
export const orRun =
  (options?: Options) =>
  <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A | void, E, R | ConfigStore | Stdio.Stdio> =>
    Effect.gen(function* () {
      const args = yield* (yield* Stdio.Stdio).args
      if (!args.includes("--print-config")) return yield* program
      return yield* Console.log(format(yield* (yield* ConfigStore).snapshot, options))
    })
