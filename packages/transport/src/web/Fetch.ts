/** What the calls of a browser's client share: where to, by which `fetch`, within which limits. */
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import { ByteBuffer } from "../ByteBuffer.ts"
import * as ReplyError from "../connect/ReplyError.ts"

export interface Http {
  /** The address of an operation, `/package.Service/Method`. */
  readonly url: (operation: string) => string
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>
  readonly useGet: boolean
  /** Longest reply message, in bytes. */
  readonly maxMessageBytes: number
}

/** Flat list of the header fields of a reply. */
export const fields = (response: Response): ReadonlyArray<string> => [...response.headers].flat()

/** The whole body; an error when it is longer than the limit. */
export const readBody = async (response: Response, maxBytes: number): Promise<Uint8Array | KratosError> => {
  if (response.body === null) return new Uint8Array(0)
  const reader = response.body.getReader()
  const body = new ByteBuffer()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    if (body.length + value.length > maxBytes) {
      reader.cancel().catch(() => {})
      return ReplyError.tooLarge(maxBytes)
    }
    body.add(value)
  }
  return body.take()
}
