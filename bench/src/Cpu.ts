/** The CPU time of a process, from the kernel: what a figure per CPU-second is taken from, whatever the process says of itself. */
import * as fs from "node:fs"

/** The kernel counts in hundredths of a second on every platform that Node runs on. */
const TICKS = 100

/** Reads `utime + stime`, in seconds, from the text of /proc/PID/stat. The program's name, in brackets, may hold spaces and brackets. */
export const parseStat = (text: string): number | undefined => {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
  const ticks = Number(fields[11]) + Number(fields[12])
  return text.includes(")") && Number.isFinite(ticks) ? ticks / TICKS : undefined
}

/** Reads the resident memory, in bytes, from the text of /proc/PID/status. */
export const parseResident = (text: string): number | undefined => {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1]
  return kib === undefined ? undefined : Number(kib) * 1024
}

const read = <A>(file: string, parse: (text: string) => A | undefined): A | undefined => {
  try {
    return parse(fs.readFileSync(file, "utf8"))
  } catch {
    return undefined
  }
}

/** Seconds of CPU that a process has used; undefined where the kernel does not say. */
export const seconds = (pid: number): number | undefined => read(`/proc/${pid}/stat`, parseStat)

/** Bytes of memory that a process has resident; undefined where the kernel does not say. */
export const resident = (pid: number): number | undefined => read(`/proc/${pid}/status`, parseResident)
