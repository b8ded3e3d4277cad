/**
 * Unary exchanges with a static gRPC-like answer under h2load: the engine beside bare `node:http2`, in alternating rounds, server on core 0 and load on
 * core 1. `node bench/unary.ts [rounds] [seconds]`. Besides calls a second it prints calls per CPU-second of the server, which is what holds on a machine
 * that others use too.
 */
import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs/promises"
import * as http2 from "node:http2"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { promisify } from "node:util"
import { HeaderBlock } from "../src/HeaderBlock.ts"
import { ServerConnection } from "../src/ServerConnection.ts"
import type { Stream, StreamListener } from "../src/Stream.ts"

type Kind = "engine" | "node"

/** `HelloReply { message: "Hello world" }` behind the five bytes of gRPC framing. */
const reply = Buffer.from("\0\0\0\0\x0d\x0a\x0bHello world", "latin1")
const head = HeaderBlock.make([
  [":status", "200"],
  ["content-type", "application/grpc"]
])
const trailers = HeaderBlock.make([["grpc-status", "0"]])

class Unary implements StreamListener {
  private readonly stream: Stream
  constructor(stream: Stream) {
    this.stream = stream
  }
  onData(data: Uint8Array, endStream: boolean): void {
    this.stream.consumed(data.length)
    if (endStream) this.stream.respond(head, reply, trailers)
  }
  onTrailers(): void {}
  onAbort(): void {}
}

const engine = (): net.Server =>
  net.createServer({ noDelay: true }, (socket) => {
    ServerConnection.make(socket, {
      recycle: true,
      onStream: (stream, _headers, endStream) => {
        if (endStream) stream.respond(head, reply, trailers)
        return new Unary(stream)
      }
    })
  })

const node = (): net.Server => {
  const server = http2.createServer()
  server.on("stream", (stream) => {
    stream.on("data", () => {})
    stream.on("error", () => {})
    stream.on("end", () => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true })
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }))
      stream.end(reply)
    })
  })
  return server
}

const serve = (kind: string, port: number): void => {
  const server = kind === "node" ? node() : engine()
  server.listen(port, "127.0.0.1", () => process.stdout.write("ready\n"))
  // On a line of input: the CPU time so far, milliseconds.
  process.stdin.on("data", () => {
    const { user, system } = process.cpuUsage()
    process.stdout.write(`${(user + system) / 1000}\n`)
  })
}

const loads = [
  ["10 × 10", ["-c10", "-m10"]],
  ["64 × 1", ["-c64", "-m1"]],
  ["1 × 100", ["-c1", "-m100"]]
] as const

const measure = async (kind: Kind, load: ReadonlyArray<string>, seconds: number, body: string) => {
  const port = 50_071
  const server = spawn("taskset", ["-c", "0", process.execPath, import.meta.filename, "serve", kind, String(port)], {
    stdio: ["pipe", "pipe", "inherit"]
  })
  const next = async (): Promise<string> => String((await once(server.stdout, "data"))[0])
  const cpu = async (): Promise<number> => {
    server.stdin.write("\n")
    return Number(await next())
  }
  const run = async (duration: number): Promise<number> => {
    const url = `http://127.0.0.1:${port}/helloworld.Greeter/SayHello`
    const headers = ["-H", "content-type: application/grpc", "-H", "te: trailers"]
    const { stdout } = await promisify(execFile)("taskset", [
      "-c",
      "1",
      "h2load",
      ...load,
      "-D",
      `${duration}`,
      "-d",
      body,
      ...headers,
      url
    ])
    return Number(/(\d+) succeeded/.exec(stdout)?.[1] ?? 0)
  }
  try {
    await next()
    await run(1)
    const before = await cpu()
    const calls = await run(seconds)
    return { wall: calls / seconds, cpu: (calls / ((await cpu()) - before)) * 1000 }
  } finally {
    server.kill()
    await once(server, "exit")
  }
}

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >>> 1] ?? 0

const main = async (rounds: number, seconds: number): Promise<void> => {
  const body = path.join(os.tmpdir(), `http2-bench-${process.pid}.bin`)
  await fs.writeFile(body, Buffer.from("\0\0\0\0\x07\x0a\x05world", "latin1"))
  for (const [name, load] of loads) {
    const results = { engine: [] as Array<{ wall: number; cpu: number }>, node: [] as Array<{ wall: number; cpu: number }> }
    for (let i = 0; i < rounds; i++) {
      for (const kind of ["engine", "node"] as const) results[kind].push(await measure(kind, load, seconds, body))
    }
    for (const kind of ["engine", "node"] as const) {
      const wall = Math.round(median(results[kind].map((r) => r.wall)))
      const cpu = Math.round(median(results[kind].map((r) => r.cpu)))
      process.stdout.write(`${name}  ${kind.padEnd(6)}  ${wall} calls/s  ${cpu} calls/CPU-s\n`)
    }
  }
  await fs.rm(body)
}

const [mode = "3", ...rest] = process.argv.slice(2)
if (mode === "serve") serve(rest[0] ?? "engine", Number(rest[1] ?? 50_071))
else await main(Number(mode), Number(rest[0] ?? 3))
