/** Failures of the network, wrapped where they arise. */
import { ConnectionError } from "@effect-kratos/http2/ConnectionError"
import { ErrorCode } from "@effect-kratos/http2/ErrorCode"
import * as Schema from "effect/Schema"
import type { Address } from "./Network.ts"

export class ListenError extends Schema.TaggedError<ListenError>("@effect-kratos/transport/ListenError")("ListenError", {
  host: Schema.String,
  port: Schema.Int,
  message: Schema.String,
  cause: Schema.Defect()
}) {}

/**
 * Why there is no connection. Of TLS: nobody whom we trust vouches for the server's certificate; it is not valid now; it is for another name; the server
 * wants a certificate of ours that it trusts; the two cannot agree on anything else. `NotHttp2`: ALPN, or the first bytes, say that the server speaks
 * something else. `Closed`: it went away before it said its settings.
 */
export const Reason = Schema.Literals([
  "NoSuchHost",
  "Refused",
  "Unreachable",
  "TimedOut",
  "Closed",
  "NotHttp2",
  "UntrustedCertificate",
  "ExpiredCertificate",
  "WrongHost",
  "ClientCertificate",
  "Handshake"
])
export type Reason = typeof Reason.Type

export class ConnectError extends Schema.TaggedError<ConnectError>("@effect-kratos/transport/ConnectError")("ConnectError", {
  host: Schema.String,
  port: Schema.Int,
  reason: Reason,
  message: Schema.String,
  cause: Schema.Defect()
}) {
  /** TLS is at fault, so that trying again without a change of certificates is in vain. */
  get isTls(): boolean {
    return TLS.has(this.reason)
  }
}

const TLS: ReadonlySet<Reason> = new Set(["UntrustedCertificate", "ExpiredCertificate", "WrongHost", "ClientCertificate", "Handshake"])

type Cause = Error & { readonly code?: string | undefined }

/** `where` is the address as text. */
export const connect = ({ host, port }: Address, where: string, cause: Cause): ConnectError =>
  new ConnectError({ host, port, reason: reasonOf(cause), message: `cannot connect to ${where}: ${why(cause)}`, cause })

/** The server was there and went before it said its settings. */
export const afterConnect = ({ host, port }: Address, where: string, cause: Error | undefined): ConnectError => {
  if (cause instanceof ConnectionError && cause.code === ErrorCode.SETTINGS_TIMEOUT) {
    return new ConnectError({ host, port, reason: "TimedOut", message: `${where} does not say its settings`, cause })
  }
  if (cause instanceof ConnectionError && !cause.remote) {
    return new ConnectError({ host, port, reason: "NotHttp2", message: `${where} does not speak HTTP/2: ${cause.message}`, cause })
  }
  const reason = cause === undefined ? "Closed" : reasonOf(cause)
  return new ConnectError({
    host,
    port,
    reason: reason === "Unreachable" ? "Closed" : reason,
    message: `${where} closed the connection at once${cause === undefined ? "" : `: ${why(cause)}`}`,
    cause
  })
}

/** The server has agreed, by ALPN, to something else or to nothing. */
export const notHttp2 = ({ host, port }: Address, where: string, protocol: string | false | null): ConnectError =>
  new ConnectError({
    host,
    port,
    reason: "NotHttp2",
    message: `cannot connect to ${where}: the server has not agreed to speak h2${typeof protocol === "string" ? `, but ${protocol}` : ""}`,
    cause: undefined
  })

/** `timeout` in milliseconds. */
export const tooLate = ({ host, port }: Address, where: string, timeout: number): ConnectError =>
  new ConnectError({
    host,
    port,
    reason: "TimedOut",
    message: `connecting to ${where} took more than ${timeout / 1000} seconds`,
    cause: undefined
  })

/** What the system and OpenSSL say. */
const REASONS: Readonly<Record<string, Reason>> = {
  ENOTFOUND: "NoSuchHost",
  EAI_AGAIN: "NoSuchHost",
  ENOENT: "NoSuchHost",
  ECONNREFUSED: "Refused",
  ETIMEDOUT: "TimedOut",
  ECONNRESET: "Closed",
  EPIPE: "Closed",
  UNABLE_TO_GET_ISSUER_CERT: "UntrustedCertificate",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "UntrustedCertificate",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "UntrustedCertificate",
  DEPTH_ZERO_SELF_SIGNED_CERT: "UntrustedCertificate",
  SELF_SIGNED_CERT_IN_CHAIN: "UntrustedCertificate",
  CERT_HAS_EXPIRED: "ExpiredCertificate",
  CERT_NOT_YET_VALID: "ExpiredCertificate",
  ERR_TLS_CERT_ALTNAME_INVALID: "WrongHost",
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: "NotHttp2",
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: "ClientCertificate",
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: "ClientCertificate",
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: "ClientCertificate",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: "ClientCertificate",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: "ClientCertificate"
}

// OpenSSL has changed the names of its alerts
const reasonOf = ({ code = "" }: Cause): Reason =>
  REASONS[code] ??
  REASONS[code.replace("_SSL/TLS_", "_SSLV3_")] ??
  (code.startsWith("ERR_SSL") || code.startsWith("ERR_TLS") || code.startsWith("CERT_") ? "Handshake" : "Unreachable")

const WHY: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "this machine has no such address",
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EHOSTUNREACH: "host unreachable",
  ENOENT: "no such socket",
  ENOTFOUND: "no such host",
  ETIMEDOUT: "timed out",
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet",
  "ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE": "it refuses the handshake: no cipher in common, or it asks for a client certificate",
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: "it refuses the handshake: no cipher in common, or it asks for a client certificate",
  ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak TLS",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "it does not speak TLS"
}

/** The same in words. */
export const why = (cause: Cause): string => {
  const { code = "" } = cause
  const known = WHY[code]
  if (known !== undefined) return known
  switch (reasonOf(cause)) {
    case "UntrustedCertificate":
      return `nobody whom we trust vouches for its certificate (${code})`
    case "ClientCertificate":
      return `it asks for a client certificate that it trusts (${code})`
    case "NotHttp2":
      return "the server does not speak h2"
    case "WrongHost":
      return cause.message
    default:
      return code === "" ? cause.message : code
  }
}
