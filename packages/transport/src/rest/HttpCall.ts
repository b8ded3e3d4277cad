/**
 * One request of a REST client over HTTP/1.1. A node that cannot be reached is passed over for the next; a request that was lost with a connection that
 * had been idle is sent again when its method may be. Interrupting closes the connection, which interrupts the server's handler.
 */
import type { Idempotency } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Effect from "effect/Effect"
import * as http from "node:http"
import * as GrpcTimeout from "../grpc/Timeout.ts"
import * as GrpcError from "../grpc/GrpcError.ts"
import * as HeaderFields from "../HeaderFields.ts"
import { ByteBuffer } from "../ByteBuffer.ts"
import type { Outgoing } from "../Outgoing.ts"
import { Attempts } from "./Attempts.ts"
import * as Timeout from "./Timeout.ts"
import { type Node, type Nodes, NotConnected } from "./Nodes.ts"

export interface Request {
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly fields: ReadonlyArray<readonly [string, string]>
  readonly body: Uint8Array | undefined
}

/** The head of a reply has come; `body` is to be read, or destroyed. */
export interface Reply {
  readonly status: number
  readonly contentType: string | undefined
  readonly body: http.IncomingMessage
}

/** Sends a request and uses its reply, whose body is not looked at after that. */
export const send = <A, E>(
  nodes: Nodes,
  call: Outgoing,
  request: Request,
  use: (reply: Reply) => Effect.Effect<A, E>
): Effect.Effect<A, E | KratosError.KratosError> =>
  Effect.suspend(() => {
    const attempts = new Attempts(call)
    return Effect.uninterruptibleMask((restore) =>
      restore(Effect.flatMap(nodes.pick(call), (order) => attempt(order, call, attempts, request, 0))).pipe(
        Effect.flatMap((reply) =>
          // what was read to its end leaves its connection to the next
          Effect.ensuring(
            restore(use(reply)),
            Effect.sync(() => reply.body.destroy())
          )
        ),
        attempts.ensure(nodes.timers)
      )
    )
  })

/** The fields of a request that its call brings: metadata, and the time that is left. */
export const fieldsOf = (
  call: Outgoing,
  deadline: number | undefined,
  now: number
): Array<readonly [string, string]> | KratosError.KratosError => {
  const metadata = HeaderFields.fromMetadata(call.request)
  if (metadata instanceof KratosError.KratosError) return metadata
  const fields = metadata.filter(([name]) => !own.has(name))
  if (deadline !== undefined) fields.push([Timeout.grpcTimeout, GrpcTimeout.format(deadline - now)])
  return fields
}

/** Fields that the client writes itself. */
const own = new Set(["accept", "host", Timeout.timeoutMs])

/** Methods that may be sent again without asking (RFC 9110, sections 9.2.1 and 9.2.2). */
const idempotent = new Set(["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
const safe = new Set(["GET", "HEAD", "OPTIONS"])

export const idempotencyOf = (method: string): Idempotency | undefined =>
  safe.has(method) ? "no_side_effects" : idempotent.has(method) ? "idempotent" : undefined

/** How often a request is sent again on another connection. */
const RETRIES = 3

const attempt = (
  [node, ...others]: ReadonlyArray<Node>,
  call: Outgoing,
  attempts: Attempts,
  request: Request,
  retries: number
): Effect.Effect<Reply, KratosError.KratosError> =>
  Effect.callback((resume) => {
    const { body, fields, method, target } = request
    const headers = ["host", node!.authority] // `pick` gives at least one, and so do the calls below
    for (const [name, value] of fields) headers.push(name, value)
    if (body !== undefined) headers.push("content-length", String(body.length))
    attempts.begin(node!)
    call.processed = true
    const sent = http.request({ agent: node!.agent, method, path: target, headers })
    const onError = (error: Error): void => {
      if (error instanceof NotConnected) {
        attempts.unprocessed()
        call.processed = false
        return resume(others.length > 0 ? attempt(others, call, attempts, request, retries) : Effect.fail(error.failure))
      }
      if (sent.reusedSocket && idempotent.has(method) && retries < RETRIES)
        return resume(attempt([node!, ...others], call, attempts, request, retries + 1))
      resume(Effect.fail(GrpcError.unavailable("the connection was lost before the reply came", error)))
    }
    sent.on("error", onError)
    sent.once("response", (reply) => {
      const keepAlive = reply.headers["keep-alive"]
      if (typeof keepAlive === "string") node!.agent.hear(keepAlive)
      call.reply = HeaderFields.toMetadata(reply.rawHeaders.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text)))
      resume(Effect.succeed({ status: reply.statusCode ?? 0, contentType: reply.headers["content-type"], body: reply }))
    })
    sent.end(body)
    return Effect.sync(() => void sent.destroy())
  })

/** The whole body. RESOURCE_EXHAUSTED when it is longer than the limit. */
export const readBody = ({ body }: Reply, maxBytes: number): Effect.Effect<Uint8Array, KratosError.KratosError> =>
  Effect.callback((resume) => {
    const bytes = new ByteBuffer()
    body.on("data", (chunk: Buffer) => {
      if (bytes.length + chunk.length > maxBytes) resume(Effect.fail(GrpcError.tooLarge(undefined, maxBytes)))
      else bytes.add(chunk)
    })
    let complete = false
    body.once("end", () => (complete = true))
    body.on("error", (error) => resume(Effect.fail(lost(error))))
    // by then the connection is free again, for a request that follows at once
    body.once("close", () => resume(complete ? Effect.succeed(bytes.take()) : Effect.fail(lost())))
  })

export const lost = (cause?: unknown): KratosError.KratosError =>
  GrpcError.unavailable("the connection was lost before the reply was complete", cause)
