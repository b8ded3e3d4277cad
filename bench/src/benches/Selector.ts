/** What a call pays for the choice of its node among 25, in a process of its own without a wire. One microsecond is a million picks a second. */
import * as Effect from "effect/Effect"
import type { Bench, Turn } from "../Bench.ts"
import { failed } from "../BenchError.ts"
import * as Child from "../Child.ts"
import * as Subject from "../Subject.ts"
import type { Machine } from "./Machine.ts"
import * as Served from "./Served.ts"

/** Ours with what is counted at the start and the end of a call; Effect's ring of hashes is the choice alone. */
const names = ["wrr", "p2c", "random", "least-request", "consistent-hash", "filtered", "effect-hashring"] as const

const subjects: ReadonlyArray<Subject.Subject> = names.map((name) => {
  const { command, missing } = Subject.node(name, "selector")
  return { name, command: [...command, name], missing }
})

export const selector = ({ cores }: Machine): Effect.Effect<Bench> =>
  Effect.succeed({
    name: "selector",
    subjects,
    loads: ["25 nodes"],
    warm: true,
    open: (subject) =>
      Child.start([...cores.server, ...subject.command]).pipe(
        Effect.map((started): Turn => {
          const run = (seconds: number) =>
            started.ask(JSON.stringify({ seconds }), seconds + 15).pipe(
              Effect.flatMap((report) => {
                const picks = Child.number(report, "picks") ?? 0
                // a choice that is always the same is none; a lane of five nodes has those, and chance may leave out a node in a short run
                const seen = Child.number(report, "nodes") ?? 0
                const all = subject.name === "filtered" ? 5 : 25
                if (seen < all * 0.8) return Effect.fail(failed(`chose ${seen} nodes of ${all}`))
                const elapsed = Child.number(report, "seconds") ?? Number.NaN
                return Effect.succeed(Served.figures("picks", picks / elapsed, picks, Child.number(report, "cpuSeconds")))
              })
            )
          return { measure: (_, seconds) => run(seconds), check: Effect.asVoid(run(0)) }
        })
      )
  })
