/** Starts the example's server as a person does, in a process of its own, and reads what it prints. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import { fileURLToPath } from "node:url"
import { stripVTControlCharacters } from "node:util"

/** The repository's root: the printed lines are to be run there. */
export const root = fileURLToPath(new URL("../../..", import.meta.url))

export interface Program {
  /** What it has printed so far: stdout, stderr. */
  readonly stdout: () => string
  readonly stderr: () => string
  /** Resolves when stdout has `text`; rejects when the program ends before. */
  readonly printed: (text: string) => Promise<void>
  readonly kill: (signal: NodeJS.Signals) => void
  /** The exit code, or the signal that ended it. */
  readonly exit: Promise<number | NodeJS.Signals | null>
}

const running = new Set<ChildProcess>()

export const start = (env: Readonly<Record<string, string>>): Program => {
  const child = spawn(process.execPath, ["examples/helloworld/src/main.ts"], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"]
  })
  running.add(child)
  const text = { stdout: "", stderr: "" }
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (chunk: string) => (text[name] += stripVTControlCharacters(chunk)))
  const exit = once(child, "close").then(([code, signal]: Array<unknown>) => {
    running.delete(child)
    // what "close" is documented to pass
    return (code ?? signal) as number | NodeJS.Signals | null
  })
  return {
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    printed: (wanted) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (text.stdout.includes(wanted)) resolve()
        }
        child.stdout.on("data", look)
        look()
        void exit.then((code) =>
          reject(new Error(`ended with ${code} without printing ${JSON.stringify(wanted)}:\n${text.stdout}${text.stderr}`))
        )
      }),
    kill: (signal) => void child.kill(signal),
    exit
  }
}

/** Ends what a failed test left. */
export const killAll = (): void => {
  for (const child of running) child.kill("SIGKILL")
}

/** Runs a line in a shell at the repository's root. */
export const shell = (line: string, env: Readonly<Record<string, string>>) => {
  const { status, stderr, stdout } = spawnSync("bash", ["-c", line], {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: "utf8",
    timeout: 60_000
  })
  return { status, stdout: stripVTControlCharacters(stdout), stderr: stripVTControlCharacters(stderr) }
}

export const freePort = async (): Promise<string> => {
  const server = createServer().listen(0, "0.0.0.0")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  if (address === null || typeof address === "string") throw new Error("no free port")
  return String(address.port)
}
