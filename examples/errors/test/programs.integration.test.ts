/** The programs as a person meets them: the printed lines work as they are, and so does the tour. */
import { afterEach, assert, it } from "@effect/vitest"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../..", import.meta.url))

let server: ChildProcess | undefined
afterEach(() => {
  server?.kill("SIGKILL")
})

const freePort = async (): Promise<string> => {
  const probe = createServer().listen(0, "0.0.0.0")
  await once(probe, "listening")
  const address = probe.address()
  probe.close()
  await once(probe, "close")
  if (address === null || typeof address === "string") throw new Error("no free port")
  return String(address.port)
}

/** Starts the server; resolves with what it printed once it has said everything. */
const start = (port: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ""
    const child = spawn(process.execPath, ["examples/errors/src/main.ts"], {
      cwd: root,
      env: { ...process.env, PORT: port, NO_COLOR: "1" }
    })
    server = child
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk
      if (text.includes("Ctrl-C")) resolve(text)
    })
    child.once("close", (code) => reject(new Error(`the server ended with ${code}:\n${text}`)))
  })

const shell = (line: string, env: Readonly<Record<string, string>> = {}) =>
  spawnSync("bash", ["-c", line], { cwd: root, env: { ...process.env, ...env }, encoding: "utf8", timeout: 60_000 })

it("prints lines that work as they are, and ends with 0 at SIGTERM", async () => {
  const port = await freePort()
  const text = await start(port)
  const lines = [...text.matchAll(/^ {4}(\S.*)$/gm)].map(([, line]) => line ?? "")
  const outputs = [
    /^\{"id":"1","name":"ada"\}$/,
    /^\{"code":409,"reason":"USER_EXISTS","message":"ada is taken","metadata":\{.*"id":"1".*\}\}$/,
    /^\{"code":400,"reason":"NAME_INVALID",.*\}$/,
    /^\{"id":"1","name":"ada"\}$/,
    /^\{"code":404,"reason":"USER_NOT_FOUND","message":"no user has the id 404","metadata":\{"id":"404"\}\}$/,
    /create ada +ada is taken by user 1\n[^]*find user 404 +no user has the id 404$/
  ]
  assert.strictEqual(lines.length, outputs.length, lines.join("\n"))
  for (const [index, output] of outputs.entries()) {
    const line = lines[index] ?? ""
    const { status, stderr, stdout } = shell(line)
    assert.strictEqual(status, 0, `${line}\n${stderr}`)
    assert.match(stdout.trimEnd(), output, line)
  }
  const exit = once(server!, "close")
  server!.kill("SIGTERM")
  assert.deepStrictEqual((await exit)[0], 0)
})

it("says in one line that no service is running, or that the port is none", async () => {
  const call = "npm run --silent call -w examples/errors"
  const alone = shell(call, { PORT: await freePort() })
  assert.deepStrictEqual([alone.status, alone.stdout], [1, ""])
  assert.match(alone.stderr, /^cannot connect to \S+: .*"npm start -w examples\/errors".*\n$/)
  for (const script of [call, "npm start --silent -w examples/errors"]) {
    const wrong = shell(script, { PORT: "abc" })
    assert.deepStrictEqual([wrong.status, wrong.stdout], [1, ""], script)
    assert.match(wrong.stderr, /^bad configuration: .*PORT.*\n$/, script)
  }
})
