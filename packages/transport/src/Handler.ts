/** A handler of a method, whatever the user wrote it as, and what it returns. */
import { create, type DescMessage, type Message } from "@bufbuild/protobuf"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"

/** What a message handler returns may be a full message or its initialiser. */
export type Reply = Message | object

/** A handler made uniform. Its needs are in the context of its implementation. */
export type Handler =
  | { readonly kind: "unary"; readonly run: (request: Message) => Effect.Effect<Reply, unknown> }
  | { readonly kind: "server_streaming"; readonly run: (request: Message) => Stream.Stream<Reply, unknown> }
  | { readonly kind: "client_streaming"; readonly run: (requests: Stream.Stream<Message, KratosError>) => Effect.Effect<Reply, unknown> }
  | { readonly kind: "bidi_streaming"; readonly run: (requests: Stream.Stream<Message, KratosError>) => Stream.Stream<Reply, unknown> }

/** The message of an initialiser; a message is taken as it is. */
export const complete = (schema: DescMessage, value: Reply): Message =>
  // anything else is an initialiser, by the types of Service.ts
  (value as Partial<Message>).$typeName === schema.typeName ? (value as Message) : create(schema, value as Record<string, unknown>)

/** Where the replies of a streaming call go. `write` completes when the wire wants more. */
export interface Sink {
  readonly write: (replies: ReadonlyArray<Reply>) => Effect.Effect<void, KratosError>
}
