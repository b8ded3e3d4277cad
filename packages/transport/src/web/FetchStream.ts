/** A server-streaming Connect call on `fetch`. What the caller has not pulled stays in the browser's own buffers beyond one window. */
import { type DescMethod, fromBinary } from "@bufbuild/protobuf"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import * as EndStream from "../connect/EndStream.ts"
import { EnvelopeReader, PREFIX } from "../connect/EnvelopeReader.ts"
import * as ReplyError from "../connect/ReplyError.ts"
import * as ReplyFields from "../connect/ReplyFields.ts"
import type { Outgoing } from "../Outgoing.ts"
import * as Fetch from "./Fetch.ts"

const TYPE = "application/connect+proto"
/** How many bytes may wait to be pulled. */
const WINDOW = 262_144

/** Resolves at the end of the replies with what went wrong, if anything did; rejects when `fetch` does. */
export const run = async (
  desc: DescMethod,
  call: Outgoing,
  message: Uint8Array,
  http: Fetch.Http,
  headers: Headers,
  signal: AbortSignal
): Promise<KratosError | undefined> => {
  const body = new Uint8Array(PREFIX + message.length)
  new DataView(body.buffer).setUint32(1, message.length)
  body.set(message, PREFIX)
  headers.set("content-type", TYPE)
  headers.set("connect-protocol-version", "1")
  const response = await http.fetch(http.url(call.operation), { method: "POST", headers, signal, body })
  const contentType = response.headers.get("content-type") ?? ""
  if (response.status !== 200) return ReplyError.ofStatus(response.status)
  if (contentType !== TYPE) return ReplyError.wrongType(contentType)
  call.reply = ReplyFields.split(Fetch.fields(response)).header
  return response.body === null ? truncated() : pump(desc, call, response.body.getReader(), http.maxMessageBytes, signal)
}

const truncated = () => ReplyError.malformed("the reply ended without its last envelope")

const pump = async (
  desc: DescMethod,
  call: Outgoing,
  reader: ReadableStreamDefaultReader<Uint8Array>,
  maxMessageBytes: number,
  signal: AbortSignal
): Promise<KratosError | undefined> => {
  const envelopes = new EnvelopeReader(maxMessageBytes)
  let last: EndStream.End | undefined
  let failure: KratosError | undefined
  let waiting = 0
  let wake: (() => void) | undefined
  call.replies.attach((bytes) => {
    waiting -= bytes
    if (waiting < WINDOW) wake?.()
  })
  // the next read then says so
  signal.addEventListener("abort", () => wake?.())
  const onEnvelope = (flags: number, content: Uint8Array): void => {
    if (failure !== undefined) return
    if (last !== undefined) failure = ReplyError.malformed("the reply goes on behind its last envelope")
    else if (flags === EndStream.FLAG) {
      last = EndStream.decode(content)
      if (last === undefined) failure = ReplyError.malformed("the last envelope cannot be decoded")
    } else if (flags !== 0) failure = ReplyError.malformed(`envelope flags ${flags} are not defined here`)
    else {
      try {
        // messages keep views of their bytes
        const reply = fromBinary(desc.output, content.slice())
        if (call.commit()) call.replies.push(reply, content.length)
      } catch {
        failure = ReplyError.malformed("a reply message cannot be decoded")
      }
    }
  }
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      if (envelopes.push(value, onEnvelope) !== undefined) failure ??= ReplyError.tooLarge(maxMessageBytes)
      waiting += value.length
      call.replies.received(value.length)
      if (failure !== undefined) return failure
      if ((waiting >= WINDOW || call.replies.isFull) && !signal.aborted) await new Promise<void>((resume) => (wake = resume))
    }
  } finally {
    // without effect on a body that has been read to its end
    reader.cancel().catch(() => {})
  }
  if (last === undefined || !envelopes.idle) return truncated()
  call.trailers = last.trailers
  return last.error
}
