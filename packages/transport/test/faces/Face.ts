/** What the table asks of a way to call a service: all kinds by one function whose result is read from that face's own form. */
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type { MessageInitShape } from "@bufbuild/protobuf"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts"
import type { Echo } from "../gen/test/v1/echo_effect.ts"
import { Echo as EchoDesc, type EchoReply, type EchoRequestSchema } from "../gen/test/v1/echo_pb.ts"

export const kinds = ["unary", "serverStream", "clientStream", "bidi"] as const
export type Kind = (typeof kinds)[number]
export type Init = MessageInitShape<typeof EchoRequestSchema>

/** An error as the caller can read it. */
export interface Failure {
  /** An HTTP status, or the name of a gRPC code, as the face has it. */
  readonly code: number | string
  readonly reason: string
  readonly message: string
  readonly metadata: Readonly<Record<string, string>>
}

/** All that came back. An error may stand behind replies. */
export interface Outcome {
  readonly replies: ReadonlyArray<EchoReply>
  readonly error: Failure | undefined
}

export interface Request {
  readonly kind: Kind
  /** One for the kinds that send one. */
  readonly messages: ReadonlyArray<Init>
  /** The stream of requests goes on without another message. */
  readonly open?: boolean | undefined
}

/** Interrupting it is how a caller goes away. */
export type Caller = (request: Request) => Effect.Effect<Outcome>

export interface Server {
  readonly baseUrl: string
  readonly address: { readonly host: string; readonly port: number }
  readonly implementation: Context.Service.Shape<typeof Echo>
}

export interface Face {
  readonly name: string
  /** Its row in docs/faces.md. */
  readonly row: string
  /** The kinds of call that it has; the table fails when another one works, or one of these does not. */
  readonly kinds: ReadonlyArray<Kind>
  /** The name of the wire in `Call.transport`; undefined where no server is passed, and so none of its aspects. */
  readonly transport: string | undefined
  /** How its errors name codes. */
  readonly codes: "http" | "grpc"
  readonly connect: (server: Server) => Effect.Effect<Caller, never, Scope.Scope>
}

/** Collects replies until the end or a failure, whichever comes. */
export const gather = <E>(replies: Stream.Stream<EchoReply, E>, read: (error: E) => Failure): Effect.Effect<Outcome> =>
  Effect.suspend(() => {
    const all: Array<EchoReply> = []
    return Stream.runForEach(replies, (reply) => Effect.sync(() => void all.push(reply))).pipe(
      Effect.match({
        onFailure: (error): Outcome => ({ replies: all, error: read(error) }),
        onSuccess: (): Outcome => ({ replies: all, error: undefined })
      })
    )
  })

/** Our own clients, and the service itself. */
export const ofService =
  (echo: Context.Service.Shape<typeof Echo>): Caller =>
  ({ kind, messages, open = false }) => {
    const requests = open ? Stream.concat(Stream.fromIterable(messages), Stream.never) : Stream.fromIterable(messages)
    const replies =
      kind === "unary" || kind === "serverStream"
        ? kind === "unary"
          ? Stream.fromEffect(echo.unary(messages[0]!))
          : echo.serverStream(messages[0]!)
        : kind === "clientStream"
          ? Stream.fromEffect(echo.clientStream(requests))
          : echo.bidi(requests)
    return gather(replies, (error: unknown) => {
      const { code, message, metadata, reason } = KratosError.from(error)
      return { code, reason, message, metadata }
    })
  }

/** Connect's own clients. */
export const ofTransport =
  (transport: Transport): Caller =>
  ({ kind, messages, open = false }) => {
    const client = createClient(EchoDesc, transport)
    const read = (thrown: unknown): Failure => {
      const error = ConnectError.from(thrown)
      const info = error.findDetails(ErrorInfoSchema)
      return {
        code: Code[error.code],
        reason: info[0]?.reason ?? "",
        message: error.rawMessage,
        metadata: info[0]?.metadata ?? {}
      }
    }
    const all: Array<EchoReply> = []
    const run = async (signal: AbortSignal): Promise<Outcome> => {
      const requests = async function* () {
        yield* messages
        // a caller that goes away does not end its requests first
        if (open) await new Promise<never>(() => {})
      }
      try {
        if (kind === "unary") all.push(await client.unary(messages[0]!, { signal }))
        else if (kind === "clientStream") all.push(await client.clientStream(requests(), { signal }))
        else {
          const stream = kind === "bidi" ? client.bidi(requests(), { signal }) : client.serverStream(messages[0]!, { signal })
          for await (const reply of stream) all.push(reply)
        }
        return { replies: all, error: undefined }
      } catch (error) {
        return { replies: all, error: read(error) }
      }
    }
    return Effect.promise(run)
  }
