/** A certificate of its own for a server on 127.0.0.1, by openssl, as long as a scope lives. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as path from "node:path"
import * as Files from "./Files.ts"
import * as Program from "./Program.ts"

export interface Certificate {
  /** Paths of PEM files. The certificate signs itself, so that clients take it for their root as well. */
  readonly cert: string
  readonly key: string
}

/** For `localhost`, 127.0.0.1 and the name that gRPC's interop servers go by. */
export const make: Effect.Effect<Certificate, Program.ProgramError, Scope.Scope> = Effect.gen(function* () {
  const folder = yield* Files.folder
  const [cert, key] = [path.join(folder, "cert.pem"), path.join(folder, "key.pem")]
  const options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
  const names = "subjectAltName=DNS:localhost,DNS:*.test.google.fr,IP:127.0.0.1"
  const command = ["openssl", "req", "-x509", ...options, "-addext", names, "-keyout", key, "-out", cert]
  const { code, stderr } = yield* Program.run(command)
  if (code !== 0) return yield* new Program.ProgramError({ command: "openssl req", message: stderr })
  return { cert, key }
})
