/**
 * TLS for servers and clients: certificates come from files and are read again while the process runs, so that a renewed certificate needs no
 * restart. A file that cannot be read or does not parse leaves the last good certificate in place and says so in the log.
 */
import type { PeerIdentity } from "@effect-kratos/core/Call"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { readFile } from "node:fs/promises"
import * as tls from "node:tls"

/** The path of a PEM file, which is read again when it changes, or PEM text that stays. */
export type Pem = string | Redacted.Redacted

export interface ServerOptions {
  /** The certificate and what leads to its root. */
  readonly cert: Pem
  readonly key: Pem
  /** Who may sign clients' certificates. */
  readonly ca?: Pem | undefined
  /** Whether clients must show a certificate that `ca` signed: `require` closes the connection without one. Default `none`. */
  readonly clientAuth?: "none" | "request" | "require" | undefined
  /** How long a handshake may take. Default 10 seconds. */
  readonly handshakeTimeout?: Duration.Input | undefined
  /** How often the files are looked at. Default 10 seconds. */
  readonly reload?: Duration.Input | undefined
}

export interface ClientOptions {
  /** Who signs servers' certificates. Default: the roots that Node knows. */
  readonly ca?: Pem | undefined
  /** The client's own certificate, for servers that ask. */
  readonly cert?: Pem | undefined
  readonly key?: Pem | undefined
  /** The name that the server's certificate must have. Default: the host that is dialled. */
  readonly serverName?: string | undefined
  /** How often the files are looked at. Default 10 seconds. */
  readonly reload?: Duration.Input | undefined
}

export class TlsError extends Schema.TaggedError<TlsError>("@effect-kratos/transport/TlsError")("TlsError", {
  message: Schema.String,
  cause: Schema.Defect()
}) {}

/** The material of one moment. */
export interface Material {
  readonly cert?: string | undefined
  readonly key?: string | undefined
  readonly ca?: string | undefined
}

/** Material that may change. */
export interface Source {
  readonly current: () => Material
  /** Calls `listener` with each later material, which is known to be good. */
  readonly onChange: (listener: (material: Material) => void) => void
}

interface Files {
  readonly cert?: Pem | undefined
  readonly key?: Pem | undefined
  readonly ca?: Pem | undefined
  readonly reload?: Duration.Input | undefined
}

/** Reads the material, checks it, and goes on looking at its files until the scope closes. */
export const load = Effect.fnUntraced(function* (files: Files): Effect.fn.Return<Source, TlsError, Scope.Scope> {
  let material = yield* read(files)
  const listeners: Array<(material: Material) => void> = []
  if ([files.cert, files.key, files.ca].some((pem) => typeof pem === "string")) {
    const look = read(files).pipe(
      Effect.map((fresh) => {
        if (fresh.cert === material.cert && fresh.key === material.key && fresh.ca === material.ca) return false
        material = fresh
        for (const listener of listeners) listener(fresh)
        return true
      }),
      Effect.tap((changed) => (changed ? Effect.logInfo("TLS certificates were read again") : Effect.void)),
      Effect.catch((error) => Effect.logWarning("TLS certificates cannot be read again; the last good ones stay", error))
    )
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(files.reload ?? "10 seconds"), look)))
  }
  return { current: () => material, onChange: (listener) => void listeners.push(listener) }
})

const read = Effect.fnUntraced(function* (files: Files): Effect.fn.Return<Material, TlsError> {
  const material: Material = { cert: yield* text(files.cert), key: yield* text(files.key), ca: yield* text(files.ca) }
  // a certificate and a key of different pairs, as in the middle of a renewal, fail here and not in a handshake
  yield* Effect.try({
    try: () => tls.createSecureContext(material),
    catch: (cause) =>
      new TlsError({ message: `certificate or key is not usable: ${cause instanceof Error ? cause.message : String(cause)}`, cause })
  })
  return material
})

const text = (pem: Pem | undefined): Effect.Effect<string | undefined, TlsError> => {
  if (pem === undefined) return Effect.succeed(undefined)
  if (typeof pem !== "string") return Effect.succeed(Redacted.value(pem))
  return Effect.tryPromise({ try: () => readFile(pem, "utf8"), catch: (cause) => new TlsError({ message: `cannot read ${pem}`, cause }) })
}

/**
 * The newest session of one server. A handshake that resumes it is a round trip and a signature shorter; it says who we are by the certificate of the
 * session, so that a session is not used any more once our material has changed.
 */
export class ClientSession {
  private material: Material | undefined = undefined
  private ticket: Buffer | undefined = undefined

  resume(material: Material): Buffer | undefined {
    return material === this.material ? this.ticket : undefined
  }

  keep(material: Material, ticket: Buffer): void {
    this.material = material
    this.ticket = ticket
  }
}

/** Who the other end has proved to be; undefined when it showed no certificate or none that we trust. */
export const identityOf = (socket: tls.TLSSocket): PeerIdentity | undefined => {
  if (!socket.authorized) return undefined
  const certificate = socket.getPeerCertificate()
  if (certificate.subject === undefined) return undefined
  const names = (certificate.subjectaltname ?? "").split(", ").filter((name) => name !== "")
  return { commonName: String(certificate.subject.CN ?? ""), names, fingerprint: certificate.fingerprint256 }
}
