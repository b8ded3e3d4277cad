/**
 * A server's journal in a file, one JSON object a line. Entries are written before the call goes on, so that those of a process survive its SIGKILL:
 * the system has them, though a crash of the whole machine may lose the last.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as path from "node:path"
import type { ServerEntry, Sink } from "./Journal.ts"

export class JournalFileError extends Schema.TaggedError<JournalFileError>("@effect-kratos/testing/JournalFileError")("JournalFileError", {
  path: Schema.String,
  cause: Schema.Defect()
}) {}

const Line = Schema.fromJsonString(
  Schema.Struct({
    event: Schema.Literals(["started", "ended", "finalized"]),
    id: Schema.String,
    node: Schema.String,
    at: Schema.Finite,
    outcome: Schema.optionalKey(Schema.String)
  })
)
const decode = Schema.decodeUnknownEffect(Line)

/** Appends to a file, which is created when it is missing, until the scope closes; what is noted after that is lost. */
export const open = (file: string): Effect.Effect<Sink, JournalFileError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        fs.mkdirSync(path.dirname(file), { recursive: true })
        return { fd: fs.openSync(file, "a"), open: true }
      },
      catch: (cause) => new JournalFileError({ path: file, cause })
    }),
    (self) =>
      Effect.sync(() => {
        self.open = false
        fs.closeSync(self.fd)
      })
  ).pipe(
    Effect.map((self) => (entry) => {
      if (self.open) fs.writeSync(self.fd, `${JSON.stringify(entry)}\n`)
    })
  )

/** The entries of all files of a directory whose names end in `.ndjson`. A last line that a killed process did not finish is left out. */
export const readAll = (directory: string): Effect.Effect<ReadonlyArray<ServerEntry>, JournalFileError> =>
  Effect.gen(function* () {
    const files = fs.existsSync(directory) ? fs.readdirSync(directory).filter((name) => name.endsWith(".ndjson")) : []
    const entries: Array<ServerEntry> = []
    for (const name of files) {
      const lines = fs.readFileSync(path.join(directory, name), "utf8").split("\n").slice(0, -1)
      for (const line of lines) entries.push(yield* decode(line))
    }
    return entries
  }).pipe(Effect.mapError((cause) => new JournalFileError({ path: directory, cause })))
