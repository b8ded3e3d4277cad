/**
 * What Linux says of the control group that a process is in: how much processor time it has used, and how much it may use. Version 1 and
 * 2; the tightest quota counts, the process' own or one of the groups above it. Nothing here fails: what is missing or malformed is undefined.
 */
import { readFileSync } from "node:fs"

/** The content of a file; undefined when it cannot be read. */
export type ReadFile = (path: string) => string | undefined

/** Reads from the file system. The files of control groups are short and made in memory: there is nothing to wait for. */
export const readFile: ReadFile = (path) => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}

export interface Cgroup {
  readonly version: 1 | 2
  /** How many processors' worth of time the group may use; undefined when nothing limits it. A limit may change while the process runs. */
  readonly limit: () => number | undefined
  /** The lower one of `limit` and of how many processors are in its set. */
  readonly quota: () => number | undefined
  /** The processor time that it has used, in nanoseconds. */
  readonly usage: () => number | undefined
}

const root = "/sys/fs/cgroup"

/** The control group of this process; undefined where there is none. */
export const detect = (read: ReadFile = readFile): Cgroup | undefined => {
  const memberships = parseMemberships(read("/proc/self/cgroup") ?? "")
  return read(`${root}/cgroup.controllers`) === undefined ? version1(read, memberships) : version2(read, memberships)
}

/** Controllers, joined by commas, and a path. */
interface Membership {
  readonly controllers: string
  readonly path: string
}

const parseMemberships = (text: string): ReadonlyArray<Membership> =>
  text.split("\n").flatMap((line) => {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line)
    return match === null ? [] : [{ controllers: match[1]!, path: match[2]! }]
  })

/** The folder of a group and those above it, as they are mounted here. A container often sees the path that it has outside, and only the mount itself. */
const folders = (mount: string, path: string): ReadonlyArray<string> => {
  const parts = path.split("/").filter((part) => part !== "")
  // a path that leads out of what is mounted
  if (parts.includes("..")) return [mount]
  return Array.from({ length: parts.length + 1 }, (_, i) => [mount, ...parts.slice(0, parts.length - i)].join("/"))
}

const version2 = (read: ReadFile, memberships: ReadonlyArray<Membership>): Cgroup => {
  const groups = folders(root, memberships.find(({ controllers }) => controllers === "")?.path ?? "/")
  const limit = (folder: string) => parseMax(read(`${folder}/cpu.max`))
  return {
    version: 2,
    limit: () => tightest(groups, limit)?.quota,
    quota: () =>
      lowest(
        first(groups, (folder) => parseList(read(`${folder}/cpuset.cpus.effective`))),
        tightest(groups, limit)?.quota
      ),
    usage: () => {
      const usage = (folder: string) => parseUsage(read(`${folder}/cpu.stat`))
      // what a quota is shared with counts against it
      const limited = tightest(groups, limit)
      return (limited === undefined ? undefined : usage(limited.folder)) ?? first(groups, usage)
    }
  }
}

const version1 = (read: ReadFile, memberships: ReadonlyArray<Membership>): Cgroup | undefined => {
  const of = (controller: string): ReadonlyArray<string> => {
    const found = memberships.find(({ controllers }) => controllers.split(",").includes(controller))
    if (found === undefined) return []
    return [...new Set([controller, found.controllers])].flatMap((name) => folders(`${root}/${name}`, found.path))
  }
  const [cpu, cpuacct, cpuset] = [of("cpu"), of("cpuacct"), of("cpuset")]
  if (cpuacct.length === 0) return undefined
  const limit = (folder: string) => {
    const quota = integer(read(`${folder}/cpu.cfs_quota_us`))
    const period = integer(read(`${folder}/cpu.cfs_period_us`))
    // a quota of -1 is none
    return quota === undefined || period === undefined || quota <= 0 || period <= 0 ? undefined : quota / period
  }
  return {
    version: 1,
    limit: () => tightest(cpu, limit)?.quota,
    quota: () =>
      lowest(
        first(cpuset, (folder) => parseList(read(`${folder}/cpuset.cpus`))),
        tightest(cpu, limit)?.quota
      ),
    usage: () => first(cpuacct, (folder) => integer(read(`${folder}/cpuacct.usage`)))
  }
}

const lowest = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined ? b : b === undefined ? a : Math.min(a, b)

const first = (groups: ReadonlyArray<string>, value: (folder: string) => number | undefined): number | undefined => {
  for (const folder of groups) {
    const found = value(folder)
    if (found !== undefined) return found
  }
  return undefined
}

interface Limited {
  readonly folder: string
  readonly quota: number
}

const tightest = (groups: ReadonlyArray<string>, limit: (folder: string) => number | undefined): Limited | undefined => {
  let best: Limited | undefined
  for (const folder of groups) {
    const quota = limit(folder)
    if (quota !== undefined && (best === undefined || quota < best.quota)) best = { folder, quota }
  }
  return best
}

const integer = (text: string | undefined): number | undefined => {
  const trimmed = text?.trim() ?? ""
  return /^-?\d{1,18}$/.test(trimmed) ? Number(trimmed) : undefined
}

/** `cpu.max`: a quota, or `max`, and a period. */
const parseMax = (text: string | undefined): number | undefined => {
  const [quota, period, ...rest] = (text ?? "").trim().split(/\s+/).map(integer)
  return rest.length > 0 || quota === undefined || period === undefined || quota <= 0 || period <= 0 ? undefined : quota / period
}

/** `cpu.stat`: names and numbers, one of them `usage_usec`. */
const parseUsage = (text: string | undefined): number | undefined => {
  const micros = integer(/^usage_usec (\d+)$/m.exec(text ?? "")?.[1])
  return micros === undefined ? undefined : micros * 1000
}

/** How many processors a list such as `0-2,4` names. */
const parseList = (text: string | undefined): number | undefined => {
  let count = 0
  for (const range of (text ?? "").trim().split(",")) {
    const match = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(range)
    if (match === null) return undefined
    const from = Number(match[1])
    const to = Number(match[2] ?? match[1])
    if (to < from) return undefined
    count += to - from + 1
  }
  return count
}
