/**
 * Does what the first page of the README tells a reader to do: starts the example on a free port, runs the `curl` line that it prints,
 * runs the example's client, stops the server with SIGTERM. Fails when a step fails, answers nothing, or the server does not end with 0.
 */
import type { ChildProcess } from "node:child_process"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import { stripVTControlCharacters } from "node:util"
import { root } from "./src/Repository.ts"

const startTimeout = 30_000
const stopTimeout = 40_000
const stepTimeout = 20_000

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  if (address === null || typeof address === "string") throw new Error("no free port")
  return address.port
}

/** The first `curl …` line that the server prints. */
const curlLine = async (server: ChildProcess): Promise<string> => {
  let text = ""
  const signal = AbortSignal.timeout(startTimeout)
  const closed = once(server, "exit", { signal }).then(([code]) =>
    Promise.reject(new Error(`npm start ended with ${code} before it was ready`))
  )
  const line = new Promise<string>((resolve, reject) => {
    signal.addEventListener("abort", () => reject(new Error(`npm start printed no curl line within ${startTimeout} ms`)))
    for (const stream of [server.stdout, server.stderr]) {
      stream?.setEncoding("utf8").on("data", (chunk: string) => {
        process.stdout.write(chunk)
        text += stripVTControlCharacters(chunk)
        const found = /(\bcurl\s.+)\n/.exec(text)?.[1]
        if (found !== undefined) resolve(found)
      })
    }
  })
  return Promise.race([line, closed])
}

const step = (title: string, command: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv): void => {
  const { error, status, stderr, stdout } = spawnSync(command, args, { cwd: root, encoding: "utf8", timeout: stepTimeout, env })
  process.stdout.write(`smoke: ${title}\n${stdout}\n`)
  if (status !== 0 || stdout.trim() === "") throw new Error(`${title} ended with ${error?.message ?? status}: ${stderr}`)
}

const main = async (): Promise<void> => {
  const port = await freePort()
  const env = { ...process.env, PORT: String(port) }
  // a process group of its own, so that nothing of it outlives a failure
  const server = spawn("npm", ["start"], { cwd: root, env, detached: true, stdio: ["ignore", "pipe", "pipe"] })
  try {
    const line = await curlLine(server)
    // -f: an error status is a failure
    step(line, "bash", ["-c", line.replace(/^curl/, "curl -f")], env)
    step("npm run call", "npm", ["run", "call"], env)
    const exit = once(server, "exit", { signal: AbortSignal.timeout(stopTimeout) })
    server.kill("SIGTERM")
    const [code, signal]: Array<unknown> = await exit
    if (code !== 0) throw new Error(`after SIGTERM npm start ended with ${String(code ?? signal)}, not 0`)
  } finally {
    try {
      if (server.pid !== undefined) process.kill(-server.pid, "SIGKILL")
    } catch {
      // nothing is left of the group
    }
  }
}

main().then(
  () => process.stdout.write("smoke: ok\n"),
  (error: unknown) => {
    process.stderr.write(`smoke: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
)
