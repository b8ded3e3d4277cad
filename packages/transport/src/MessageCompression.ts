/**
 * Compression of single messages of gRPC, which marks each message apart: what to leave alone in a call that compresses, what came compressed, and replies that
 * are compressed though their request was not. The encoding is a matter of the call: a client's `compression`, and what the client accepts.
 */
import { Call } from "@effect-kratos/core/Call"
import * as Effect from "effect/Effect"
import { Incoming } from "./Operation.ts"

/** Messages by identity: nothing is asked or kept of calls that do not compress. */
const plain = new WeakSet<object>()
const compressed = new WeakSet<object>()

/**
 * Sends `message` as it is, also where its call compresses: for what is dense already, or where the length of a secret beside text that an attacker chooses must
 * not tell of it (CRIME, BREACH). Returns the same object.
 */
export const uncompressed = <A extends object>(message: A): A => {
  plain.add(message)
  return message
}

/** True for a message that was sent to us compressed: a request in a handler, a reply at a client of gRPC over HTTP/2. */
export const wasCompressed = (message: object): boolean => compressed.has(message)

/**
 * Compresses the replies of the call in progress with gzip or deflate, as its client accepts; without effect once the reply's head is sent, where the client
 * accepts neither, and on wires that decide for themselves. Without it a reply is compressed when its request was.
 */
export const replies: Effect.Effect<void, never, Call> = Effect.map(Call, (call) => {
  // of the calls that there are, those that came in know how to
  if (call instanceof Incoming) call.compressReplies = true
})

/** Whether a message stays as it is. */
export const isPlain = (message: object): boolean => plain.has(message)

/** Remembers of a message that it came compressed. */
export const received = (message: object): void => void compressed.add(message)
