/**
 * Proxies in front of a server on 127.0.0.1, as people set them up: each with a port for gRPC (HTTP/2 on both sides, in clear text or over TLS) and one that
 * speaks HTTP/1.1 to the server.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Certificate } from "./Certificates.ts"
import * as Files from "./Files.ts"
import * as Program from "./Program.ts"

/** The kind of port. */
export type Face = "grpc" | "http"

export interface Proxy {
  readonly name: string
  readonly missing: () => string | undefined
  /** Starts it for a server, with a certificate over TLS on both sides; the port ends with the scope. */
  readonly serve: (face: Face, server: number, certificate?: Certificate) => Effect.Effect<number, Program.ProgramError, Scope.Scope>
}

interface Setting {
  readonly face: Face
  readonly port: number
  readonly server: number
  readonly folder: string
  readonly certificate: Certificate | undefined
}

/** A proxy that reads a file. */
const configured =
  (name: string, command: (file: string) => ReadonlyArray<string>, config: (setting: Setting) => string): Proxy["serve"] =>
  (face, server, certificate) =>
    Effect.flatMap(Files.folder, (folder) => {
      const file = path.join(folder, `${name}.conf`)
      return Program.serveOn((port) => {
        fs.writeFileSync(file, config({ face, port, server, folder, certificate }))
        return command(file)
      })
    })

const program = (name: string) => Program.which(name) ?? name

/** `more` goes into the configuration of the server. */
const nginxWith = (more: string): Proxy => ({
  name: "nginx",
  missing: Program.missing("nginx"),
  serve: configured(
    "nginx",
    (file) => [program("nginx"), "-e", "stderr", "-c", file],
    ({ certificate, face, folder, port, server }) => `
daemon off;
master_process off;
pid ${folder}/pid;
error_log stderr error;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  client_max_body_size 16m;
  upstream server { server 127.0.0.1:${server}; keepalive 16; }
  server {
    ${
      face === "grpc"
        ? `listen 127.0.0.1:${port} ${certificate === undefined ? "" : "ssl "}http2;
    ${certificate === undefined ? "" : `ssl_certificate ${certificate.cert}; ssl_certificate_key ${certificate.key};`}
    ${more}
    location / {
      grpc_pass grpc${certificate === undefined ? "" : "s"}://server;
    }`
        : `listen 127.0.0.1:${port};
    location / {
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_pass http://server;
    }`
    }
  }
}
`
  )
})

export const nginx: Proxy = nginxWith("")

/** It says GOAWAY on a connection after so many requests. */
export const nginxLeaving = (requests: number): Proxy => nginxWith(`keepalive_requests ${requests};`)

/** haproxy reads a certificate and its key from one file. */
const joined = (folder: string, { cert, key }: Certificate): string => {
  const file = path.join(folder, "both.pem")
  fs.writeFileSync(file, fs.readFileSync(cert, "utf8") + fs.readFileSync(key, "utf8"))
  return file
}

export const haproxy: Proxy = {
  name: "haproxy",
  missing: Program.missing("haproxy"),
  serve: configured(
    "haproxy",
    (file) => [program("haproxy"), "-db", "-q", "-f", file],
    ({ certificate, face, folder, port, server }) => `
global
  maxconn 512
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option abortonclose
frontend front
  bind 127.0.0.1:${port}${certificate === undefined ? "" : ` ssl crt ${joined(folder, certificate)} alpn h2`}${face === "grpc" ? " proto h2" : ""}
  default_backend back
backend back
  server one 127.0.0.1:${server}${certificate === undefined ? "" : " ssl verify none alpn h2"}${face === "grpc" ? " proto h2" : ""}
`
  )
}

export const nghttpx: Proxy = {
  name: "nghttpx",
  missing: Program.missing("nghttpx"),
  serve: (face, server, certificate) =>
    Program.serveOn((port) => [
      program("nghttpx"),
      "--conf=/dev/null",
      "--workers=1",
      "--single-process",
      "--single-thread",
      "--errorlog-file=/dev/stderr",
      "--accesslog-file=/dev/null",
      `--frontend=127.0.0.1,${port}${certificate === undefined ? ";no-tls" : ""}`,
      `--backend=127.0.0.1,${server};;proto=${face === "grpc" ? "h2" : "http/1.1"}${certificate === undefined ? "" : ";tls"}`,
      ...(certificate === undefined ? [] : ["--insecure", certificate.key, certificate.cert])
    ])
}

export const all: ReadonlyArray<Proxy> = [nginx, haproxy, nghttpx]
