/** The same over TLS. The certificate is made with openssl. */
import { afterAll, describe } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tls from "node:tls"
import { laws } from "./HandOver.ts"

const openssl = (() => {
  try {
    execFileSync("openssl", ["version"])
    return true
  } catch {
    return false
  }
})()

describe.skipIf(!openssl)("a connection over TLS that node:http takes over (needs openssl)", () => {
  const dir = mkdtempSync(join(tmpdir(), "hand-over-"))
  afterAll(() => rmSync(dir, { recursive: true }))
  laws(() => {
    const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")]
    const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-x509"]
    execFileSync("openssl", ["req", ...kind, "-keyout", key, "-out", cert, "-subj", "/CN=localhost"], { stdio: "pipe" })
    const material = { key: readFileSync(key), cert: readFileSync(cert) }
    return {
      listen: (onSocket) => tls.createServer(material, onSocket),
      connect: (port) => tls.connect({ port, host: "127.0.0.1", ca: material.cert, checkServerIdentity: () => undefined })
    }
  })
})
