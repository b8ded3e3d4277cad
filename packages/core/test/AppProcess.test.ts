/** The App in processes of their own: what it does with real signals and exit codes, under the runner that users take. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"

const program = fileURLToPath(new URL("./fixtures/app.ts", import.meta.url))

const children = new Set<ChildProcess>()
afterAll(() => children.forEach((child) => child.kill("SIGKILL")))

const start = async (mode: string) => {
  const child = spawn(process.execPath, [program, mode], { stdio: ["ignore", "pipe", "pipe"] })
  children.add(child)
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (output += data.toString()))
  const exited = once(child, "close").then(([code, signal]) => ({ code: code as number | null, signal: signal as string | null }))
  /** Waits for a text in the output, or for the end. */
  const until = async (text: string) => {
    while (!output.includes(text) && child.exitCode === null) await Promise.race([once(child.stdout, "data"), exited])
  }
  const exit = async () => ({ ...(await exited), output })
  return { kill: (signal: NodeJS.Signals) => child.kill(signal), until, exit }
}

describe.concurrent("App in a process", { timeout: 60_000 }, () => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGQUIT"] as const) {
    it(`${signal} stops it cleanly: exit code 0`, async () => {
      const child = await start("clean")
      await child.until("ready\n")
      child.kill(signal)
      const { code, output } = await child.exit()
      assert.strictEqual(code, 0, output)
      for (const text of [`${signal} received`, "greeter is deregistered", "closed\n", "greeter has stopped"]) assert.include(output, text)
    })
  }

  it("built aside the main fiber, SIGQUIT stops it cleanly all the same", async () => {
    const child = await start("aside")
    await child.until("ready\n")
    child.kill("SIGQUIT")
    const { code, output } = await child.exit()
    assert.strictEqual(code, 0, output)
    assert.include(output, "closed\n")
  })

  it("a stop that the program asks for: exit code 0", async () => {
    const { code, output } = await (await start("stop")).exit()
    assert.strictEqual(code, 0, output)
    assert.include(output, "closed\n")
  })

  it("a failed start closes what was started: exit code 1", async () => {
    const { code, output } = await (await start("fail")).exit()
    assert.strictEqual(code, 1, output)
    assert.include(output, "closed\n")
    assert.notInclude(output, "ready\n")
  })

  it("a failed hook does not skip the rest of a stop: exit code 1", async () => {
    const child = await start("hook")
    await child.until("ready\n")
    child.kill("SIGTERM")
    const { code, output } = await child.exit()
    assert.strictEqual(code, 1, output)
    for (const text of ["beforeStop hook failed", "greeter is deregistered", "closed\n"]) assert.include(output, text)
  })

  it("a second signal ends it at once, with the code of that signal", async () => {
    const child = await start("hang")
    await child.until("ready\n")
    child.kill("SIGTERM")
    await child.until("greeter stops")
    child.kill("SIGINT")
    const { code, output } = await child.exit()
    assert.strictEqual(code, 130, output)
    assert.include(output, "exiting at once")
    assert.notInclude(output, "closed\n")
  })

  it("a finalizer that hangs is cut off after stopTimeout: exit code 1", async () => {
    const child = await start("limited")
    await child.until("ready\n")
    child.kill("SIGTERM")
    const { code, output } = await child.exit()
    assert.strictEqual(code, 1, output)
    assert.include(output, "the stop took longer than")
    assert.notInclude(output, "closed\n")
  })
})
