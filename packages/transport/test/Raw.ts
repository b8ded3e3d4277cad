/** HTTP/2 without gRPC's manners: what a broken or hostile peer sends, and what comes back. */
import * as ClientConnection from "@effect-kratos/http2/ClientConnection"
import { HeaderBlock } from "@effect-kratos/http2/HeaderBlock"
import type { Headers } from "@effect-kratos/http2/Headers"
import * as ServerConnection from "@effect-kratos/http2/ServerConnection"
import type { Stream as H2Stream, StreamListener } from "@effect-kratos/http2/Stream"
import * as Effect from "effect/Effect"
import type { Duplex } from "node:stream"
import * as Network from "../src/Network.ts"

export interface Outcome {
  readonly status: number
  readonly head: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly trailers: Readonly<Record<string, string>>
  /** The code of a stream that was reset, or of a connection that was lost. */
  readonly aborted: number | undefined
}

/** The gRPC status, wherever it stands. */
export const grpcStatus = ({ head, trailers }: Outcome): number => Number(trailers["grpc-status"] ?? head["grpc-status"] ?? NaN)
export const grpcMessage = ({ head, trailers }: Outcome): string => trailers["grpc-message"] ?? head["grpc-message"] ?? ""

const record = (fields: ReadonlyArray<string>): Record<string, string> => {
  const found: Record<string, string> = {}
  for (let i = 0; i < fields.length; i += 2) found[fields[i]!] = fields[i + 1]!
  return found
}

export interface Request {
  /** Replaces or adds; an empty value removes. */
  readonly fields?: Readonly<Record<string, string>> | undefined
  /** One DATA frame each. Undefined: the head ends the request. */
  readonly body?: ReadonlyArray<Uint8Array> | undefined
  readonly trailers?: ReadonlyArray<readonly [string, string]> | undefined
  /** Sends no end. */
  readonly open?: boolean | undefined
}

const head = (path: string, fields: Readonly<Record<string, string>> = {}): HeaderBlock =>
  HeaderBlock.make(
    Object.entries({
      ":method": "POST",
      ":scheme": "http",
      ":path": path,
      ":authority": "test",
      "content-type": "application/grpc",
      te: "trailers",
      ...fields
    }).filter(([, value]) => value !== "")
  )

/** A client that sends what it is told. */
export const rawClient = (duplex: Duplex) => {
  const connection = ClientConnection.make(duplex)
  return {
    connection,
    send: (path: string, { body, fields, open = false, trailers }: Request = {}): Effect.Effect<Outcome> =>
      Effect.callback((resume) => {
        const outcome = {
          status: 0,
          head: {} as Record<string, string>,
          chunks: [] as Array<Buffer>,
          trailers: {} as Record<string, string>
        }
        const end = (aborted?: number) =>
          resume(
            Effect.succeed({
              status: outcome.status,
              head: outcome.head,
              body: Buffer.concat(outcome.chunks),
              trailers: outcome.trailers,
              aborted
            })
          )
        const listener: StreamListener = {
          onHeaders: (headers, endStream) => {
            outcome.status = headers.status
            outcome.head = record(headers.fields)
            if (endStream) end()
          },
          onData: (data, endStream) => {
            outcome.chunks.push(Buffer.from(data))
            stream.consumed(data.length)
            if (endStream) end()
          },
          onTrailers: (headers) => {
            outcome.trailers = record(headers.fields)
            end()
          },
          onAbort: end
        }
        const ends = body === undefined && trailers === undefined && !open
        const stream = connection.request(head(path, fields), listener, undefined, ends)!
        body?.forEach((chunk, i) => stream.data(chunk, i === body.length - 1 && trailers === undefined && !open))
        if (trailers !== undefined) stream.trailers(HeaderBlock.make(trailers))
        return Effect.sync(() => stream.reset(8))
      })
  }
}

export type Script = (
  stream: H2Stream,
  headers: Headers,
  connection: ServerConnection.ServerConnection,
  number: number
) => StreamListener | void

export const silent: StreamListener = { onData: () => {}, onTrailers: () => {}, onAbort: () => {} }

/** A server that answers by a script. `number` counts its streams over all connections, from 0. */
export const scripted = Effect.fnUntraced(function* (script: Script, options: Omit<ServerConnection.ServerOptions, "onStream"> = {}) {
  const network = Network.makeMemory()
  const seen = { streams: 0, connections: 0 }
  /** Those that have not ended, in the order in which they came. */
  const open = new Set<ServerConnection.ServerConnection>()
  const address = yield* network.listen({ host: "bad", port: 0 }, ({ duplex }) => {
    seen.connections++
    const connection: ServerConnection.ServerConnection = ServerConnection.make(duplex, {
      ...options,
      onStream: (stream, headers) => script(stream, headers, connection, seen.streams++) ?? silent,
      onClose: () => open.delete(connection)
    })
    open.add(connection)
  })
  return { network, address, seen, open }
})

/** A message of gRPC. */
export const framed = (message: Uint8Array, flags = 0, length = message.length): Buffer => {
  const prefix = Buffer.alloc(5)
  prefix[0] = flags
  prefix.writeUInt32BE(length, 1)
  return Buffer.concat([prefix, message])
}
