/**
 * Chooses one of 25 nodes for each call, by the balancer that its argument names: on a line such as `{"seconds":1}` for that long; prints how often, and how
 * many nodes were chosen. Ours begin and end each call, as a client does.
 */
import type { CallShape } from "@effect-kratos/core/Call"
import * as Metadata from "@effect-kratos/core/Metadata"
import type * as Balancer from "@effect-kratos/core/selector/Balancer"
import * as ConsistentHash from "@effect-kratos/core/selector/ConsistentHash"
import * as Filter from "@effect-kratos/core/selector/Filter"
import * as LeastRequest from "@effect-kratos/core/selector/LeastRequest"
import * as Node from "@effect-kratos/core/selector/Node"
import * as P2c from "@effect-kratos/core/selector/P2c"
import * as RandomBalancer from "@effect-kratos/core/selector/Random"
import * as Selector from "@effect-kratos/core/selector/Selector"
import * as WeightedRoundRobin from "@effect-kratos/core/selector/WeightedRoundRobin"
import * as Effect from "effect/Effect"
import * as HashRing from "effect/HashRing"
import * as PrimaryKey from "effect/PrimaryKey"
import * as Scope from "effect/Scope"
import * as readline from "node:readline"

const NODES = 25

const call = (i: number): CallShape => ({
  side: "client",
  operation: "/helloworld.v1.Greeter/SayHello",
  service: "helloworld.v1.Greeter",
  method: "SayHello",
  kind: "unary",
  transport: "grpc",
  peer: "",
  endpoint: "discovery:///bench",
  pathTemplate: undefined,
  request: Metadata.fromRecord({ "x-user": `user-${i}`, "x-md-global-colour": "blue" }),
  reply: Metadata.make(),
  trailers: Metadata.make(),
  deadline: undefined,
  message: undefined
})
const calls = Array.from({ length: 1024 }, (_, i) => call(i))

/** One call: the number of its node. */
type Pick = (i: number) => number

const ours = (balancer: Balancer.Make, filters: ReadonlyArray<Filter.Filter> = []): Pick => {
  const selector = Effect.runSync(
    Selector.make<number>(
      { target: "discovery:///bench", isReady: () => true, onChange: () => {} },
      { balancer, filters, outlierEjection: false }
    ).pipe(Scope.provide(Scope.makeUnsafe()))
  )
  const nodes = Array.from({ length: NODES }, (_, i) =>
    Node.make(`10.0.0.${i}:9000`, { metadata: { weight: String(50 + i * 4), colour: i % 5 === 0 ? "blue" : "green" } })
  )
  const members = nodes.map((node, i) => selector.join(node, i))
  selector.list(members)
  for (const member of members) selector.setHealth(member, "up")
  return (i) => {
    const of = calls[i & 1023]!
    const member = selector.pick(of)!
    selector.begin(member, of).reply(undefined)
    return member.value
  }
}

class Place implements PrimaryKey.PrimaryKey {
  readonly index: number
  constructor(index: number) {
    this.index = index
  }
  [PrimaryKey.symbol](): string {
    return `10.0.0.${this.index}:9000`
  }
}

const kinds: Readonly<Record<string, () => Pick>> = {
  wrr: () => ours(WeightedRoundRobin.make),
  p2c: () => ours(P2c.make),
  random: () => ours(RandomBalancer.make()),
  "least-request": () => ours(LeastRequest.make()),
  "consistent-hash": () => ours(ConsistentHash.make({ key: "x-user" })),
  filtered: () => ours(WeightedRoundRobin.make, [Filter.colour()]),
  "effect-hashring": () => {
    const ring = HashRing.make<Place>()
    HashRing.addMany(
      ring,
      Array.from({ length: NODES }, (_, i) => new Place(i))
    )
    return (i) => HashRing.get(ring, calls[i & 1023]!.request.get("x-user")![0]!)!.index
  }
}

const pick = kinds[process.argv[2] ?? ""]!()
/** Picks between two looks at the length of the run. */
const BATCH = 2000
const lines = readline.createInterface({ input: process.stdin })
lines.on("line", (line) => {
  const { seconds } = JSON.parse(line) as { seconds: number } // written by `Selector.ts`
  const seen = new Uint8Array(NODES)
  const cpu = process.cpuUsage()
  const start = performance.now()
  let picks = 0
  let now = start
  do {
    for (let i = 0; i < BATCH; i++) seen[pick(picks + i)] = 1
    picks += BATCH
    now = performance.now()
  } while (now - start < seconds * 1000)
  const { system, user } = process.cpuUsage(cpu)
  const nodes = seen.reduce((sum, one) => sum + one, 0)
  process.stdout.write(`${JSON.stringify({ picks, nodes, seconds: (now - start) / 1000, cpuSeconds: (user + system) / 1e6 })}\n`)
})
lines.on("close", () => process.exit(0))
process.stdout.write(`{"ready":1}\n`)
