/** What a client makes of replies that are not what they should be; used in browsers too. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Status from "@effect-kratos/core/error/Status"
import * as Codes from "./Codes.ts"
import * as ErrorJson from "./ErrorJson.ts"

const decoder = new TextDecoder("utf-8", { fatal: true })

/** The error of a unary reply whose status is not 200. A body that is no error of Connect's leaves what the status says. */
export const ofUnary = (status: number, contentType: string, body: Uint8Array): KratosError.KratosError => {
  if (isJson(contentType)) {
    try {
      const json: unknown = JSON.parse(decoder.decode(body))
      if (ErrorJson.isRecord(json)) return ErrorJson.parse(json, Codes.fromHttpStatus(status))
    } catch {
      // below
    }
  }
  return ofStatus(status)
}

/** The error of a reply that is none of Connect's. */
export const ofStatus = (status: number): KratosError.KratosError => {
  const grpc = Codes.fromHttpStatus(status)
  return KratosError.make(Status.httpFromGrpc(grpc), "", `the reply is not Connect's: HTTP status ${status}`, { grpc })
}

/** INTERNAL: bytes that are not the protocol. */
export const malformed = (message: string): KratosError.KratosError =>
  KratosError.internalServer("", message, { grpc: Status.Grpc.INTERNAL })

/** INTERNAL for another codec of the protocol; UNKNOWN for what is not the protocol at all, as Connect's own clients say it. */
export const wrongType = (contentType: string): KratosError.KratosError =>
  KratosError.internalServer("", `the reply has content-type ${JSON.stringify(contentType.slice(0, 64))}`, {
    grpc: /^application\/(connect\+|proto|json)/.test(contentType) ? Status.Grpc.INTERNAL : Status.Grpc.UNKNOWN
  })

/** RESOURCE_EXHAUSTED. */
export const tooLarge = (limit: number): KratosError.KratosError =>
  KratosError.tooManyRequests("", `the reply is larger than the limit of ${limit} bytes`, { grpc: Status.Grpc.RESOURCE_EXHAUSTED })

const isJson = (contentType: string): boolean => /^application\/json\s*(;|$)/i.test(contentType)
