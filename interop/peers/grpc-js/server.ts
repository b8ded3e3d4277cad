/** Serves test.v1.Echo and grpc.health.v1.Health with grpc-js. Prints {"port":N} and ends with its standard input. */
import * as grpc from "@grpc/grpc-js"
import * as contract from "./contract.ts"

type Request = Required<contract.Request>
type Message = Partial<contract.Reply>

const interrupted = new Map<string, number>()

/** Sleeps; false when the call was cancelled meanwhile, which is counted under its text. */
const wait = (
  call: grpc.ServerUnaryCall<Request, Message> | grpc.ServerWritableStream<Request, Message>,
  request: Request
): Promise<boolean> => {
  if (request.delay_ms <= 0) return Promise.resolve(true)
  return new Promise((resolve) => {
    const cancelled = () => {
      clearTimeout(timer)
      interrupted.set(request.text, (interrupted.get(request.text) ?? 0) + 1)
      resolve(false)
    }
    const timer = setTimeout(() => {
      call.off("cancelled", cancelled)
      resolve(true)
    }, request.delay_ms)
    if (call.cancelled) cancelled()
    else call.once("cancelled", cancelled)
  })
}

const failure = ({ fail_reason: reason, text }: Request): Partial<grpc.StatusObject> | undefined => {
  if (reason === "") return undefined
  const code = contract.codes[reason] ?? grpc.status.UNKNOWN
  const message = `${reason}: ${text}`
  const value = contract.ErrorInfoCodec.encode({ reason, domain: "", metadata: { text } })
  const metadata = new grpc.Metadata()
  metadata.set(
    "grpc-status-details-bin",
    contract.StatusCodec.encode({ code, message, details: [{ type_url: contract.detailType, value }] })
  )
  return { code, details: message, metadata }
}

/** The metadata asked for, three ways: in the message, as headers and as trailers. */
const returned = (incoming: grpc.Metadata, names: ReadonlyArray<string>) => {
  const inMessage: Record<string, string> = {}
  const header = new grpc.Metadata()
  const trailer = new grpc.Metadata()
  for (const name of names) {
    const values = incoming.get(name)
    if (values.length === 0) continue
    for (const value of values) {
      header.add(`echo-${name}`, value)
      trailer.add(`trailer-${name}`, value)
    }
    inMessage[name] = values.map((value) => (typeof value === "string" ? value : value.toString("base64").replaceAll("=", ""))).join(",")
  }
  return { inMessage, header, trailer }
}

const unary: grpc.handleUnaryCall<Request, Message> = async (call, callback) => {
  const { request } = call
  const { text, payload } = request
  if (text.startsWith(contract.askInterrupted)) {
    callback(null, { text, index: interrupted.get(text.slice(contract.askInterrupted.length)) ?? 0 })
    return
  }
  if (!(await wait(call, request))) return
  const { header, inMessage, trailer } = returned(call.metadata, request.echo_metadata)
  call.sendMetadata(header)
  const failed = failure(request)
  if (failed === undefined) callback(null, { text, payload, metadata: inMessage }, trailer)
  else callback(failed)
}

type Writer = grpc.ServerWritableStream<Request, Message> | grpc.ServerDuplexStream<Request, Message>

const drained = (call: Writer, message: Message): Promise<void> =>
  new Promise((resolve) => {
    if (call.write(message)) resolve()
    else call.once("drain", resolve)
  })

/** Sends the replies of one request; false when the call is over. */
const send = async (call: Writer, request: Request, first: number, count: number): Promise<boolean> => {
  const { header, inMessage } = returned(call.metadata, request.echo_metadata)
  if (first === 0) call.sendMetadata(header)
  for (let index = first; index < first + count; index++) {
    if (!(await wait(call as grpc.ServerWritableStream<Request, Message>, request))) return false
    await drained(call, { text: request.text, payload: request.payload, index, metadata: inMessage })
  }
  const failed = failure(request)
  if (failed !== undefined) call.emit("error", failed)
  return failed === undefined
}

const serverStream: grpc.handleServerStreamingCall<Request, Message> = async (call) => {
  if (await send(call, call.request, 0, call.request.count)) call.end(returned(call.metadata, call.request.echo_metadata).trailer)
}

const clientStream: grpc.handleClientStreamingCall<Request, Message> = async (call, callback) => {
  const texts: Array<string> = []
  const payloads: Array<Uint8Array> = []
  for await (const request of call as AsyncIterable<Request>) {
    const failed = failure(request)
    if (failed !== undefined) return callback(failed)
    texts.push(request.text)
    payloads.push(request.payload)
  }
  return callback(null, { text: texts.join(","), payload: Buffer.concat(payloads), index: texts.length })
}

const bidi: grpc.handleBidiStreamingCall<Request, Message> = async (call) => {
  let index = 0
  for await (const request of call as AsyncIterable<Request>) {
    const count = Math.max(1, request.count)
    if (!(await send(call, request, index, count))) return
    index += count
  }
  call.end()
}

const check: grpc.handleUnaryCall<{ service: string }, { status: string }> = (call, callback) => {
  if (call.request.service === "" || call.request.service === "test.v1.Echo") callback(null, { status: "SERVING" })
  else callback({ code: grpc.status.NOT_FOUND, details: "unknown service" })
}

const server = new grpc.Server({ "grpc.default_compression_algorithm": 2 })
server.addService(contract.Echo, { Unary: unary, Old: unary, ServerStream: serverStream, ClientStream: clientStream, Bidi: bidi })
server.addService(contract.Health, { Check: check })
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error
  process.stdout.write(`${JSON.stringify({ port })}\n`)
  process.stdin.on("end", () => process.exit(0))
  process.stdin.resume()
})
