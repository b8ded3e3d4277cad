/** Serves `grpc.testing.TestService` with grpc-js: interop-server.ts PORT [CERT KEY]. */
import * as grpc from "@grpc/grpc-js"
import * as fs from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import {
  INITIAL,
  type InputReply,
  type InputRequest,
  type OutputReply,
  type OutputRequest,
  type SimpleReply,
  type SimpleRequest,
  TestService,
  TRAILING
} from "./testing.ts"

const [port = "0", cert, key] = process.argv.slice(2)

const payload = (size: number) => ({ body: new Uint8Array(size) })

/** Sends the header that is asked for, and gives the trailer. */
const echoed = (call: { readonly metadata: grpc.Metadata; readonly sendMetadata: (metadata: grpc.Metadata) => void }): grpc.Metadata => {
  const [header, trailer] = [new grpc.Metadata(), new grpc.Metadata()]
  for (const value of call.metadata.get(INITIAL)) header.add(INITIAL, value)
  for (const value of call.metadata.get(TRAILING)) trailer.add(TRAILING, value)
  if (call.metadata.get(INITIAL).length > 0) call.sendMetadata(header)
  return trailer
}

const failure = ({ response_status: status }: SimpleRequest | OutputRequest): Partial<grpc.StatusObject> | undefined =>
  status === undefined || status === null || status.code === 0 ? undefined : { code: status.code, details: status.message }

const unary: grpc.handleUnaryCall<SimpleRequest, Partial<SimpleReply>> = (call, callback) => {
  const trailer = echoed(call)
  const failed = failure(call.request)
  if (failed !== undefined) return callback(failed)
  return callback(
    null,
    { payload: payload(call.request.response_size ?? 0), server_id: call.request.fill_server_id === true ? `grpc-js-${process.pid}` : "" },
    trailer
  )
}

type Writer = grpc.ServerWritableStream<OutputRequest, OutputReply> | grpc.ServerDuplexStream<OutputRequest, OutputReply>

const replies = async (call: Writer, request: OutputRequest): Promise<void> => {
  for (const { interval_us: interval = 0, size } of request.response_parameters ?? []) {
    if (interval > 0) await sleep(interval / 1000)
    call.write({ payload: payload(size) })
  }
}

const output: grpc.handleServerStreamingCall<OutputRequest, OutputReply> = async (call) => {
  await replies(call, call.request)
  call.end()
}

const input: grpc.handleClientStreamingCall<InputRequest, InputReply> = (call, callback) => {
  let size = 0
  call.on("data", (request: InputRequest) => (size += request.payload?.body.length ?? 0))
  call.on("end", () => callback(null, { aggregated_payload_size: size }))
}

const duplex: grpc.handleBidiStreamingCall<OutputRequest, OutputReply> = (call) => {
  // a call that was cancelled ends the iteration with an error, and is over
  answer(call).catch(() => undefined)
}

const answer = async (call: grpc.ServerDuplexStream<OutputRequest, OutputReply>): Promise<void> => {
  const trailer = echoed(call)
  for await (const request of call as AsyncIterable<OutputRequest>) {
    const failed = failure(request)
    if (failed !== undefined) return void call.emit("error", failed)
    await replies(call, request)
  }
  return void call.end(trailer)
}

const server = new grpc.Server()
server.addService(TestService, {
  EmptyCall: ((_, callback) => callback(null, {})) satisfies grpc.handleUnaryCall<object, object>,
  UnaryCall: unary,
  StreamingOutputCall: output,
  StreamingInputCall: input,
  FullDuplexCall: duplex
})
const credentials =
  cert === undefined || key === undefined
    ? grpc.ServerCredentials.createInsecure()
    : grpc.ServerCredentials.createSsl(null, [{ cert_chain: fs.readFileSync(cert), private_key: fs.readFileSync(key) }])
server.bindAsync(`127.0.0.1:${port}`, credentials, (error) => {
  if (error !== null) throw error
})
