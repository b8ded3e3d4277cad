/** REST as a page has it: `fetch`, server-sent events, a WebSocket; nothing of ours. */
import { create, fromJson, toJson } from "@bufbuild/protobuf"
import * as Effect from "effect/Effect"
import { EchoReplySchema, EchoRequestSchema, type EchoReply } from "../gen/test/v1/echo_pb.ts"
import { paths } from "./Contract.ts"
import type { Caller, Failure, Init, Outcome, Request } from "./Face.ts"

const bodyOf = (message: Init): string => JSON.stringify(toJson(EchoRequestSchema, create(EchoRequestSchema, message)))
const replyOf = (text: string): EchoReply => fromJson(EchoReplySchema, JSON.parse(text))

/** An error's body, which has these keys and no others. */
const failureOf = (text: string): Failure => {
  const { code, message, metadata, reason, ...rest } = JSON.parse(text)
  if (Object.keys(rest).length > 0) throw new Error(`an error with more than Kratos' keys: ${text}`)
  return { code, reason, message, metadata }
}

const refused = async (response: Response): Promise<Outcome> => {
  const error = failureOf(await response.text())
  if (error.code !== response.status) throw new Error(`status ${response.status} over a body that says ${error.code}`)
  return { replies: [], error }
}

const unary = async (baseUrl: string, message: Init, signal: AbortSignal): Promise<Outcome> => {
  const headers = { "content-type": "application/json" }
  const response = await fetch(baseUrl + paths.unary, { method: "POST", headers, body: bodyOf(message), signal })
  return response.ok ? { replies: [replyOf(await response.text())], error: undefined } : refused(response)
}

const events = async (baseUrl: string, message: Init, signal: AbortSignal): Promise<Outcome> => {
  const fields = Object.entries(JSON.parse(bodyOf(message))).map(([key, value]): [string, string] => [key, String(value)])
  const target = `${baseUrl}${paths.serverStream}?${new URLSearchParams(fields)}`
  const response = await fetch(target, { headers: { accept: "text/event-stream" }, signal })
  if (!response.ok) return refused(response)
  const replies: Array<EchoReply> = []
  for (const event of (await response.text()).split("\n\n")) {
    const name = /^event: (.*)$/m.exec(event)?.[1]
    const data = /^data: (.*)$/m.exec(event)?.[1]
    if (name === "message") replies.push(replyOf(data!))
    else if (name === "error") return { replies, error: failureOf(data!) }
  }
  return { replies, error: undefined }
}

const socket = (baseUrl: string, { kind, messages, open = false }: Request, signal: AbortSignal): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(`${baseUrl.replace("http", "ws")}${kind === "bidi" ? paths.bidi : paths.clientStream}`)
    const replies: Array<EchoReply> = []
    let error: Failure | undefined
    socket.addEventListener("open", () => {
      for (const message of messages) socket.send(bodyOf(message))
      if (!open) socket.send("\u001eend")
    })
    socket.addEventListener("message", ({ data }) => {
      if (typeof data !== "string") reject(new Error("a binary frame"))
      else if (data.startsWith("\u001eerror:")) error = failureOf(data.slice("\u001eerror:".length))
      else replies.push(replyOf(data))
    })
    socket.addEventListener("close", ({ code }) => {
      if (code === (error === undefined ? 1000 : 1011) || signal.aborted) resolve({ replies, error })
      else reject(new Error(`closed with ${code}`))
    })
    signal.addEventListener("abort", () => socket.close())
  })

export const connect =
  (baseUrl: string): Caller =>
  (request) =>
    Effect.promise((signal) => {
      const [message = {}] = request.messages
      if (request.kind === "unary") return unary(baseUrl, message, signal)
      if (request.kind === "serverStream") return events(baseUrl, message, signal)
      return socket(baseUrl, request, signal)
    })
