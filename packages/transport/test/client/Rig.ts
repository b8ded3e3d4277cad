/** A network that tests break, and a server of plain answers on it. */
import { HeaderBlock } from "@effect-kratos/http2/HeaderBlock"
import type { Stream as H2Stream } from "@effect-kratos/http2/Stream"
import { create, toBinary } from "@bufbuild/protobuf"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Duplex } from "node:stream"
import type { NodeState } from "../../src/channel/Connectivity.ts"
import type * as Channels from "../../src/Channels.ts"
import * as NetworkError from "../../src/NetworkError.ts"
import type * as Network from "../../src/Network.ts"
import { EchoReplySchema } from "../gen/test/v1/echo_pb.ts"
import { until } from "../Harness.ts"
import { framed } from "../Raw.ts"

const head = HeaderBlock.make([
  [":status", "200"],
  ["content-type", "application/grpc"]
])
const ok = HeaderBlock.make([["grpc-status", "0"]])

/** Answers a call with a text. */
export const answer = (stream: H2Stream, text = "hello"): void =>
  stream.respond(head, framed(toBinary(EchoReplySchema, create(EchoReplySchema, { text }))), ok)

/** A network between client and server: counts, refuses, and holds what it has made. */
export const watched = Effect.fnUntraced(function* (network: Network.NetworkShape) {
  const clock = yield* Clock.Clock
  const state = {
    /** When each attempt was made, in milliseconds. */
    attempts: [] as Array<number>,
    duplexes: [] as Array<Duplex>,
    down: false,
    /** Instead of the real thing. */
    replace: undefined as Effect.Effect<Duplex, NetworkError.ConnectError> | undefined
  }
  const shape: Network.NetworkShape = {
    ...network,
    connect: (to) =>
      Effect.suspend(() => {
        state.attempts.push(clock.currentTimeMillisUnsafe())
        if (state.down) return Effect.fail(refused(to))
        return Effect.tap(state.replace ?? network.connect(to), (duplex) => Effect.sync(() => state.duplexes.push(duplex)))
      })
  }
  return { network: shape, state, open: () => state.duplexes.filter((duplex) => !duplex.destroyed).length }
})

const refused = ({ host, port }: Network.Address) =>
  NetworkError.connect({ host, port }, `${host}:${port}`, Object.assign(new Error("down"), { code: "ECONNREFUSED" }))

/** What the channels know of a target at the moment. */
export const states = (channels: Channels.Channels["Service"], target = "discovery:///echo"): Effect.Effect<ReadonlyArray<NodeState>> =>
  Effect.map(Stream.runHead(channels.connectivity(target)), (head) => (head._tag === "Some" ? head.value : []))

/** Completes when what the channels know of the only node has this state. */
export const becomes = (channels: Channels.Channels["Service"], state: NodeState["state"]): Effect.Effect<void> =>
  until(Effect.map(states(channels), ([node]) => node?.state === state))
