/** What holds between a client and a member, of whatever make: each case is a job of the client's and what must have become of it. */
import * as assert from "node:assert/strict"
import type { Answer, Job } from "./FleetConfig.ts"
import type { Kind, Member } from "./Members.ts"

export interface Case {
  readonly name: string
  readonly job: Job
  readonly check: (answer: Answer) => void
  /** A visit of this name must have been interrupted at the member. */
  readonly interrupts?: string | undefined
}

type Dialect = NonNullable<Job["dialect"]>

const big = "9007199254740993"

const thing = {
  id: "a <b> é/1",
  bigNumber: "-9223372036854775808",
  unsignedNumber: "18446744073709551615",
  mainColor: "COLOR_DARK_GREEN",
  createdAt: "2024-02-29T12:30:00.000000005Z",
  shelfLife: "-1.500s",
  rawData: "AP/+",
  countByName: { "a b": big, "": "-1" },
  moreColors: ["COLOR_RED", "COLOR_UNSPECIFIED"],
  nextThing: { id: "n", bigNumber: big },
  isNew: true,
  unitPrice: 1.1
}

const wanted = {
  id: "42",
  bigNumber: big,
  mainColor: "COLOR_DARK_GREEN",
  createdAt: "2024-02-29T12:30:00Z",
  isNew: true
}

const failureIs = (answer: Answer, want: Partial<NonNullable<Answer["error"]>>): void => {
  assert.ok(answer.error, `no error but ${JSON.stringify(answer)}`)
  for (const [key, value] of Object.entries(want)) {
    assert.deepEqual(answer.error[key as keyof typeof want], value, JSON.stringify(answer.error)) // one of its keys
  }
}

/** How an error of the contract arrives: our client has a class for it. */
const reasonOf = (client: Kind, reason: string, tag: string, code: number | undefined) => ({
  reason,
  ...(code === undefined ? {} : { code }),
  ...(client === "ours" ? { tag } : {})
})

const over = { grpc: "gRPC", http: "HTTP" } as const

/** The formats that a client and a member have in common over HTTP: the client's own first. */
const dialects = (client: Kind, member: Kind): ReadonlyArray<Dialect> => {
  const version = client === "ours" ? member : client
  return version === "v2" ? ["v2", "binary"] : ["v3", "binary"]
}

export const cases = (client: Kind, member: Member): ReadonlyArray<Case> => {
  const id = member.id
  const grpc = { target: `127.0.0.1:${member.grpc}`, protocol: "grpc" } as const
  const [own, ...more] = dialects(client, member.kind)
  const http = { target: `127.0.0.1:${member.http}`, protocol: "http", dialect: own! } as const
  const all: Array<Case> = []
  const add = (name: string, job: Job, check: Case["check"], interrupts?: string) => all.push({ name, job, check, interrupts })

  for (const to of [grpc, http]) {
    const wire = over[to.protocol]
    for (const [reason, tag, code] of [
      ["PLACE_NOT_FOUND", "PlaceNotFound", 404],
      ["PLACE_BUSY", "PlaceBusy", 409],
      // gRPC has no status for 418, so the code is lost to those that do not know the reason
      ["TEAPOT", "Teapot", to.protocol === "grpc" && client !== "ours" ? undefined : 418]
    ] as const) {
      add(`error ${reason} over ${wire}`, { do: "visit", ...to, message: { name: "x", failReason: reason } }, (answer) =>
        failureIs(answer, { ...reasonOf(client, reason, tag, code), message: "x ü", metadata: { name: "x", node: id } })
      )
    }
    add(`validation over ${wire}`, { do: "visit", ...to, message: { name: "" } }, (answer) =>
      failureIs(answer, { code: 400, reason: "VALIDATOR", message: "name must not be empty" })
    )
    add(
      `a caller's patience ends over ${wire}, and with it the work`,
      { do: "visit", ...to, message: { name: `late-${client}-${to.protocol}`, waitMs: 9000 }, timeoutMs: 300 },
      (answer) => assert.ok(answer.error, JSON.stringify(answer)),
      `late-${client}-${to.protocol}`
    )
    add(
      `a caller goes away over ${wire}, and the work ends`,
      { do: "visit", ...to, message: { name: `gone-${client}-${to.protocol}`, waitMs: 9000 }, cancelMs: 300 },
      (answer) => assert.ok(answer.error, JSON.stringify(answer)),
      `gone-${client}-${to.protocol}`
    )
  }
  add("the deadline arrives over gRPC", { do: "visit", ...grpc, message: { name: "x" }, timeoutMs: 3000 }, (answer) => {
    const { hops } = answer.reply as { readonly hops: ReadonlyArray<{ readonly timeLeftMs: string }> } // a VisitReply
    const left = Number(hops[0]?.timeLeftMs)
    assert.ok(left > 1000 && left <= 3000, `${left} ms are left of 3000`)
  })

  const isThing = (want: object) => (answer: Answer) => assert.deepEqual(answer.reply, want, JSON.stringify(answer))
  add("64 bits, enums, times, bytes, maps over gRPC", { do: "put", ...grpc, message: thing }, isThing(thing))
  for (const dialect of [own!, ...more]) {
    const to = { ...http, dialect }
    add(`64 bits, enums, times, bytes, maps over HTTP, ${dialect}`, { do: "put", ...to, message: thing }, isThing(thing))
    add(`path and query over HTTP, ${dialect}`, { do: "get", ...to, message: wanted }, isThing(wanted))
  }

  const replies = (want: ReadonlyArray<object>) => (answer: Answer) => {
    assert.equal(answer.error, undefined, JSON.stringify(answer))
    assert.deepEqual(answer.replies, want)
  }
  const three = (text: string) => [{ text }, { text, number: "1" }, { text, number: "2" }]
  const busy = reasonOf(client, "PLACE_BUSY", "PlaceBusy", 409)
  const streams = (wire: string, to: typeof grpc | typeof http, sockets: boolean) => {
    add(`a stream of replies over ${wire}`, { do: "watch", ...to, texts: ["w"] }, replies(three("w")))
    add(`its failure at once over ${wire}`, { do: "watch", ...to, texts: ["early"] }, (answer) => {
      assert.deepEqual(answer.replies ?? [], [])
      failureIs(answer, { ...busy, message: "no more", metadata: { k: "v" } })
    })
    add(`its failure in the middle over ${wire}`, { do: "watch", ...to, texts: ["late"] }, (answer) => {
      assert.deepEqual(answer.replies, three("late"))
      failureIs(answer, { ...busy, message: "no more", metadata: { k: "v" } })
    })
    const socket = sockets ? "WebSocket" : wire
    add(`both directions over ${socket}`, { do: "talk", ...to, texts: ["a", "b"] }, replies([{ text: "a" }, { text: "b", number: "1" }]))
    add(`a stream of requests over ${socket}`, { do: "collect", ...to, texts: ["a", "b", "c"] }, replies([{ text: "a,b,c", number: "3" }]))
    add(`failure between messages over ${socket}`, { do: "talk", ...to, texts: ["a", "fail"] }, (answer) => {
      assert.deepEqual(answer.replies, [{ text: "a" }])
      // Kratos' own WebSocket client has the text of an error and no more
      if (sockets && client !== "ours") assert.match(answer.error?.message ?? "", /PLACE_BUSY.*no more/)
      else failureIs(answer, { ...busy, message: "no more", metadata: { k: "v" } })
    })
  }
  streams("gRPC", grpc, false)
  if (own === "v3") streams("server-sent events", http, true)
  return all
}
