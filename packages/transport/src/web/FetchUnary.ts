/** A unary Connect call on `fetch`: POST, or GET for methods without side effects, which browsers and proxies may cache. */
import { type DescMethod, fromBinary, type Message } from "@bufbuild/protobuf"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as GetForm from "../connect/GetForm.ts"
import * as ReplyError from "../connect/ReplyError.ts"
import * as ReplyFields from "../connect/ReplyFields.ts"
import type { Outgoing } from "../Outgoing.ts"
import * as Fetch from "./Fetch.ts"

/** Resolves with the reply or what went wrong; rejects when `fetch` does. */
export const run = async (
  desc: DescMethod,
  call: Outgoing,
  message: Uint8Array,
  http: Fetch.Http,
  headers: Headers,
  signal: AbortSignal
): Promise<Message | KratosError.KratosError> => {
  const response = await request(desc, call, message, http, headers, signal)
  const { header, trailers } = ReplyFields.split(Fetch.fields(response))
  call.reply = header
  call.trailers = trailers
  const body = await Fetch.readBody(response, http.maxMessageBytes)
  if (body instanceof KratosError.KratosError) return body
  const contentType = response.headers.get("content-type") ?? ""
  if (response.status !== 200) return ReplyError.ofUnary(response.status, contentType, body)
  if (contentType !== "application/proto") return ReplyError.wrongType(contentType)
  try {
    return fromBinary(desc.output, body)
  } catch {
    return ReplyError.malformed("the reply cannot be decoded")
  }
}

const request = (
  desc: DescMethod,
  call: Outgoing,
  message: Uint8Array,
  http: Fetch.Http,
  headers: Headers,
  signal: AbortSignal
): Promise<Response> => {
  const url = http.url(call.operation)
  const query = http.useGet && GetForm.isSafe(desc) ? GetForm.query(message, "proto", false) : undefined
  if (query !== undefined) return http.fetch(url + query, { method: "GET", headers, signal })
  headers.set("content-type", "application/proto")
  headers.set("connect-protocol-version", "1")
  // never shared memory
  return http.fetch(url, { method: "POST", headers, signal, body: message as Uint8Array<ArrayBuffer> })
}
