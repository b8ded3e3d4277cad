/**
 * The Connect conformance suite (connectrpc.com/conformance), which runs a program of ours against one of its own. What it is to test is in
 * `conformance/suite.yaml`. It tells of cases that fail by name and of the others by number.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"
import * as Program from "../Program.ts"
import * as Suite from "./Suite.ts"

const RUNNER = "connectconformance"
const folder = fileURLToPath(new URL("../../conformance/", import.meta.url))

export interface Options {
  readonly mode: "server" | "client"
  /** The program under test, a file of `conformance`. */
  readonly program: string
  readonly http: 1 | 2
  /** How many they are: one that is not run must not go unnoticed. */
  readonly cases: number
  readonly seconds: number
}

/** Reads what the runner prints: `FAILED: name:` with indented lines behind it, and the number of those that passed. */
export const parse = (output: string, cases: number): ReadonlyArray<Suite.CaseResult> => {
  const failed = [...output.matchAll(/^FAILED: (.+?):?\n((?:\t.*\n?)*)/gm)].map(([, name, why]) => Suite.fail(name!, why!))
  const passed = Number(/^(\d+) passed, \d+ failed/m.exec(output)?.[1] ?? 0)
  const results = [...failed, ...Array.from({ length: passed }, (_, i) => Suite.ok(`case ${i + 1} of those that passed`))]
  if (results.length === cases) return results
  return [...results, Suite.fail("all cases", `${results.length} of ${cases} were run: ${output.slice(-600)}`)]
}

/** Cases of protocols that need HTTP/2 do not name it. */
const HTTP1 = "**/HTTPVersion:1/**"

/**
 * As many calls and servers at a time as two cores take. Clients set the number of their calls; some are to be cancelled within 200 ms, which a machine that
 * has more to do may miss.
 */
const pace = { server: ["--max-servers", "2", "--parallel", "4"], client: ["--max-servers", "1"] }

const results = Effect.fnUntraced(function* ({ cases, http, mode, program, seconds }: Options) {
  const command = [process.execPath, `${folder}${program}`]
  const options = ["--mode", mode, "--conf", `${folder}suite.yaml`, ...pace[mode], http === 1 ? "--run" : "--skip", HTTP1]
  const runner = Program.which(RUNNER)! // part of `missing`
  const { code, stderr, stdout } = yield* Program.run([runner, ...options, "--", ...command], { seconds })
  const read = parse(stdout + stderr, cases)
  const explained = code === 0 || read.some(({ outcome }) => outcome === "FAIL")
  return Stream.fromIterable(explained ? read : [...read, Suite.fail("the runner", `ended with ${code}: ${stderr.slice(-600)}`)])
})

export const part = (name: string, options: Options): Suite.Part => ({
  name,
  missing: Program.missing(RUNNER),
  run: Stream.unwrap(results(options)),
  seconds: options.seconds + 20
})
