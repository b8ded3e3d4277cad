/** Nodes of a selector without wires: each is up, and ready unless it is said to be full. */
import * as Effect from "effect/Effect"
import type { CallShape } from "../../src/Call.ts"
import * as Node from "../../src/selector/Node.ts"
import type { Member } from "../../src/selector/Member.ts"
import * as Selector from "../../src/selector/Selector.ts"
import * as CallFixture from "../CallFixture.ts"

export interface Place {
  readonly name: string
  full: boolean
}

export const call = (fields: Partial<CallShape> = {}): CallShape => CallFixture.make({ side: "client", peer: "", ...fields })

/** A call with a header. */
export const tagged = (key: string, value: string): CallShape => {
  const made = call()
  made.request.set(key, [value])
  return made
}

export const make = Effect.fnUntraced(function* (nodes: ReadonlyArray<Node.Node>, options: Selector.Options = {}) {
  const changes = { count: 0 }
  const selector = yield* Selector.make<Place>(
    { target: "discovery:///test", isReady: ({ full }) => !full, onChange: () => changes.count++ },
    options
  )
  let members: ReadonlyArray<Member<Place>> = []
  /** What a registry lists now; members of addresses that stay are kept. */
  const list = (nodes: ReadonlyArray<Node.Node>): void => {
    const before = new Map(members.map((member) => [member.node.address, member]))
    members = nodes.map((node) => {
      const there = before.get(node.address)
      before.delete(node.address)
      if (there === undefined) {
        const joined = selector.join(node, { name: node.address, full: false })
        selector.setHealth(joined, "up")
        return joined
      }
      there.relist(node)
      return there
    })
    for (const gone of before.values()) selector.leave(gone)
    selector.list(members)
  }
  list(nodes)
  const member = (name: string): Member<Place> => members.find(({ node }) => node.address === name)!
  const pick = (of: CallShape = call()): string | undefined => selector.pick(of)?.node.address
  /** A call that begins and is still on its way. */
  const begin = (of: CallShape = call()): Selector.Try<Place> => {
    const picked = selector.pick(of)
    if (picked === undefined) throw new Error("no node takes the call")
    return selector.begin(picked, of)
  }
  /** How often each node is picked of so many calls, which end at once. */
  const spread = (calls: number, of: (i: number) => CallShape = () => call()): Record<string, number> => {
    const counts: Record<string, number> = {}
    for (let i = 0; i < calls; i++) {
      const attempt = begin(of(i))
      attempt.reply(undefined)
      counts[attempt.candidate.node.address] = (counts[attempt.candidate.node.address] ?? 0) + 1
    }
    return counts
  }
  return { begin, changes, list, member, pick, selector, spread }
})

export const weighted = (weights: Record<string, number>): ReadonlyArray<Node.Node> =>
  Object.entries(weights).map(([name, weight]) => Node.make(name, { metadata: { weight: String(weight) } }))

export const named = (...names: ReadonlyArray<string>): ReadonlyArray<Node.Node> => names.map((name) => Node.make(name))

export const numbered = (count: number): ReadonlyArray<Node.Node> => Array.from({ length: count }, (_, i) => Node.make(`10.0.0.${i}:9000`))
