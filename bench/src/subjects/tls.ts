/** The certificate that a subject is to use, when the bench asks for TLS. */
import * as fs from "node:fs"

const { BENCH_TLS_CERT, BENCH_TLS_KEY } = process.env

/** Where it is. */
export const tlsFiles: { readonly cert: string; readonly key: string } | undefined =
  BENCH_TLS_CERT === undefined || BENCH_TLS_KEY === undefined ? undefined : { cert: BENCH_TLS_CERT, key: BENCH_TLS_KEY }

export const tls: { readonly cert: Buffer; readonly key: Buffer } | undefined = tlsFiles && {
  cert: fs.readFileSync(tlsFiles.cert),
  key: fs.readFileSync(tlsFiles.key)
}
