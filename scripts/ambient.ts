/** Checks that packages take time, chance and timers from services (src/Ambient.ts), and that the exceptions still are some. */
import * as Ambient from "./src/Ambient.ts"
import * as Direction from "./src/Direction.ts"
import * as Repository from "./src/Repository.ts"

const problems: Array<string> = []
const used = new Set<string>()
let checked = 0

for (const path of Repository.files()) {
  const place = Direction.place(path)
  if (place === undefined || place.module.startsWith("gen/")) continue
  checked += 1
  const source = Repository.read(path)
  for (const { name } of Ambient.find(path, source)) used.add(`${path} ${name}`)
  for (const { line, name } of Ambient.check(path, source))
    problems.push(
      `${path}:${line} uses ${name}: take it from Clock, Random, DeadlineTimers or LoopTurn, or name the place in scripts/src/Ambient.ts`
    )
}
for (const [path, names] of Object.entries(Ambient.places)) {
  for (const name of Object.keys(names))
    if (!used.has(`${path} ${name}`)) problems.push(`${path} does not use ${name} any more: take it out of scripts/src/Ambient.ts`)
}

for (const problem of problems) process.stderr.write(`ambient: ${problem}\n`)
if (problems.length === 0) process.stdout.write(`ambient: ok, ${checked} files\n`)
process.exitCode = problems.length === 0 ? 0 : 1
