/**
 * Which core runs what. The server gets one core and the load another, so that neither steals time from the other and a
 * figure means "calls per second of one core". Cores come from the list that this process may use, which in a container
 * need not start at 0.
 */
import * as fs from "node:fs"
import * as path from "node:path"

/** The words to put before a command so that it stays on its core; none where pinning is impossible. */
export interface Cores {
  readonly server: ReadonlyArray<string>
  readonly load: ReadonlyArray<string>
  readonly warning: string | undefined
}

/** Reads a kernel list such as `0-3,8`. */
export const parseList = (text: string): ReadonlyArray<number> =>
  text
    .trim()
    .split(",")
    .flatMap((range) => {
      const match = /^(\d+)(?:-(\d+))?$/.exec(range.trim())
      if (match === null) return []
      const first = Number(match[1])
      const last = Math.min(match[2] === undefined ? first : Number(match[2]), first + 4095)
      return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index)
    })

/** The absolute path of a program on PATH, if there is one. */
export const which = (program: string): string | undefined =>
  (process.env["PATH"] ?? "")
    .split(path.delimiter)
    .map((folder) => path.join(folder, program))
    .find((file) => {
      try {
        fs.accessSync(file, fs.constants.X_OK)
        return fs.statSync(file).isFile()
      } catch {
        return false
      }
    })

const allowed = (): ReadonlyArray<number> => {
  try {
    return parseList(/^Cpus_allowed_list:\s*(.+)$/m.exec(fs.readFileSync("/proc/self/status", "utf8"))?.[1] ?? "")
  } catch {
    return []
  }
}

/** Chooses the cores; `taskset` and `cores` are what the machine offers. */
export const choose = (taskset: string | undefined, cores: ReadonlyArray<number>): Cores => {
  const [server, load] = cores
  if (taskset === undefined) {
    return {
      server: [],
      load: [],
      warning: "no taskset (util-linux): server and load share the cores, so the figures are lower bounds and noisy"
    }
  }
  if (server === undefined || load === undefined) {
    return { server: [], load: [], warning: "only one core: server and load share it, so only the order of the subjects means something" }
  }
  return { server: [taskset, "-c", String(server)], load: [taskset, "-c", String(load)], warning: undefined }
}

export const detect = (): Cores => choose(which("taskset"), allowed())
