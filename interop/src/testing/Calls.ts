/** Calls of `grpc.testing.TestService` with our own client, as cases make them. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { check } from "../Check.ts"
import type { Payload } from "../gen/grpc/testing/messages_pb.ts"
import { TestService } from "../gen/grpc/testing/test_effect.ts"

type Service = (typeof TestService)["Service"]

export const REQUEST = 271_828
export const RESPONSE = 314_159

export const zeros = (size: number) => ({ body: new Uint8Array(size) })

export const isZeros = (payload: Payload | undefined, size: number) =>
  check(() => {
    assert.equal(payload?.body.length, size)
    assert.ok(Buffer.compare(payload?.body ?? new Uint8Array(0), new Uint8Array(size)) === 0, "the payload is not all zeros")
    assert.equal(payload?.type, 0)
  })

export const unary = (request: Parameters<Service["unaryCall"]>[0]) => TestService.use((service) => service.unaryCall(request))
export const duplex = <E, R>(requests: Stream.Stream<DuplexRequest, E, R>) =>
  Stream.unwrap(TestService.useSync((service) => service.fullDuplexCall(requests)))
export const output = (request: DuplexRequest) => Stream.unwrap(TestService.useSync((service) => service.streamingOutputCall(request)))
export const input = (...requests: ReadonlyArray<InputRequest>) =>
  TestService.use((service) => service.streamingInputCall(Stream.fromIterable(requests)))

export type DuplexRequest = Parameters<Service["streamingOutputCall"]>[0]
export type InputRequest = {
  readonly payload: { readonly body: Uint8Array }
  readonly expectCompressed?: { readonly value: boolean }
}

export const large = Effect.flatMap(unary({ responseSize: RESPONSE, payload: zeros(REQUEST) }), (reply) => isZeros(reply.payload, RESPONSE))
