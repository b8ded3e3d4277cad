/** Takes a server of `grpc.testing.TestService` through one case with grpc-js: interop-client.ts HOST:PORT CASE [CA NAME]. Ends with 0 when it holds. */
import * as grpc from "@grpc/grpc-js"
import * as assert from "node:assert/strict"
import * as fs from "node:fs"
import {
  INITIAL,
  type InputReply,
  type InputRequest,
  type OutputReply,
  type OutputRequest,
  type Payload,
  type SimpleReply,
  type SimpleRequest,
  TestService,
  TRAILING,
  UnimplementedService
} from "./testing.ts"

interface Stub extends grpc.Client {
  EmptyCall(request: object, callback: grpc.requestCallback<object>): grpc.ClientUnaryCall
  UnimplementedCall(request: object, callback: grpc.requestCallback<object>): grpc.ClientUnaryCall
  UnaryCall(request: SimpleRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<SimpleReply>): grpc.ClientUnaryCall
  StreamingOutputCall(request: OutputRequest): grpc.ClientReadableStream<OutputReply>
  StreamingInputCall(callback: grpc.requestCallback<InputReply>): grpc.ClientWritableStream<InputRequest>
  FullDuplexCall(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<OutputRequest, OutputReply>
}

const [target, name = "", ca, serverName] = process.argv.slice(2)
if (target === undefined) throw new Error("usage: interop-client.ts HOST:PORT CASE [CA NAME]")

const GZIP = 2
/** A flag of messages, which the package does not export. */
const NO_COMPRESS = 2

const connect = (definition: grpc.ServiceDefinition, options: grpc.ClientOptions = {}): Stub => {
  const credentials = ca === undefined ? grpc.credentials.createInsecure() : grpc.credentials.createSsl(fs.readFileSync(ca))
  const named = serverName === undefined ? options : { ...options, "grpc.ssl_target_name_override": serverName }
  // the stub's methods come from the loaded contract; the interface above says which
  return new (grpc.makeClientConstructor(definition, ""))(target, credentials, named) as unknown as Stub
}

const stub = connect(TestService)
const none = new grpc.Metadata()
const zeros = (size: number): Payload => ({ body: new Uint8Array(size) })
const isZeros = (payload: Payload | null | undefined, size: number) =>
  assert.ok(Buffer.compare(payload?.body ?? Buffer.alloc(0), Buffer.alloc(size)) === 0, `not ${size} zeros`)

const done = <T>(call: (callback: grpc.requestCallback<T>) => unknown): Promise<T> =>
  new Promise((resolve, reject) => call((error, reply) => (error === null && reply !== undefined ? resolve(reply) : reject(error))))

const unary = (request: SimpleRequest, client = stub) => done<SimpleReply>((callback) => client.UnaryCall(request, none, callback))

const input = (requests: ReadonlyArray<readonly [InputRequest, number]>, client = stub) =>
  done<InputReply>((callback) => {
    const call = client.StreamingInputCall(callback)
    for (const [request, flags] of requests) call.write(request, flags)
    call.end()
  })

const collect = async (call: AsyncIterable<OutputReply>) => {
  const replies: Array<OutputReply> = []
  for await (const reply of call) replies.push(reply)
  return replies
}

const failsWith = async (promise: Promise<unknown>, code: grpc.status, message?: string) => {
  const error = await promise.then(
    () => undefined,
    (cause: grpc.ServiceError) => cause
  )
  assert.equal(error?.code, code, error?.details ?? "the call succeeded")
  if (message !== undefined) assert.equal(error?.details, message)
}

const large = async (client = stub) => isZeros((await unary({ response_size: 314_159, payload: zeros(271_828) }, client)).payload, 314_159)

const outputs = [31_415, 9, 2653, 58_979]
const inputs = [27_182, 8, 1828, 45_904]
const round = (i: number): OutputRequest => ({ response_parameters: [{ size: outputs[i]! }], payload: zeros(inputs[i]!) })

const pingPong = async (rounds: number) => {
  const call = stub.FullDuplexCall(none)
  call.write(round(0))
  let count = 0
  for await (const { payload } of call as AsyncIterable<OutputReply>) {
    isZeros(payload, outputs[count]!)
    count++
    if (count === rounds && rounds < outputs.length) call.cancel()
    else if (count < outputs.length) call.write(round(count))
    else call.end()
  }
  assert.equal(count, rounds)
}

const status = async (message: string) => {
  const response_status = { code: grpc.status.UNKNOWN, message }
  await failsWith(unary({ response_status }), grpc.status.UNKNOWN, message)
  const call = stub.FullDuplexCall(none)
  call.end({ response_status })
  await failsWith(collect(call), grpc.status.UNKNOWN, message)
}

const metadata = async () => {
  const sent = new grpc.Metadata()
  const bytes = Buffer.from([0xab, 0xab, 0xab])
  sent.set(INITIAL, "test_initial_metadata_value")
  sent.set(TRAILING, bytes)
  const seen = (call: grpc.Call & NodeJS.EventEmitter) =>
    Promise.all([
      new Promise<void>((resolve, reject) =>
        call.on("metadata", (header: grpc.Metadata) =>
          header.get(INITIAL)[0] === "test_initial_metadata_value" ? resolve() : reject(new Error("initial metadata"))
        )
      ),
      new Promise<void>((resolve, reject) =>
        call.on("status", ({ metadata }: grpc.StatusObject) =>
          bytes.equals(metadata.get(TRAILING)[0] as Buffer) ? resolve() : reject(new Error("trailing metadata"))
        )
      )
    ])
  await seen(stub.UnaryCall({ response_size: 314_159, payload: zeros(271_828) }, sent, () => undefined))
  const call = stub.FullDuplexCall(sent)
  call.resume()
  call.end({ response_parameters: [{ size: 314_159 }], payload: zeros(271_828) })
  await seen(call)
}

const zipped = () => connect(TestService, { "grpc.default_compression_algorithm": GZIP })

const soak = async (client: () => Stub) => {
  for (let i = 0; i < 50; i++) await large(client())
}

const cases: Readonly<Record<string, () => Promise<unknown>>> = {
  empty_unary: async () => assert.deepEqual(await done((callback) => stub.EmptyCall({}, callback)), {}),
  large_unary: () => large(),
  client_streaming: async () => {
    const { aggregated_payload_size: size } = await input(inputs.map((size) => [{ payload: zeros(size) }, 0] as const))
    assert.equal(size, 74_922)
  },
  server_streaming: async () => {
    const replies = await collect(stub.StreamingOutputCall({ response_parameters: outputs.map((size) => ({ size })) }))
    assert.equal(replies.length, outputs.length)
    for (const [i, { payload }] of replies.entries()) isZeros(payload, outputs[i]!)
  },
  ping_pong: () => pingPong(4),
  empty_stream: async () => {
    const call = stub.FullDuplexCall(none)
    call.end()
    assert.equal((await collect(call)).length, 0)
  },
  timeout_on_sleeping_server: async () => {
    const call = stub.FullDuplexCall(none, { deadline: Date.now() + 1 })
    call.write({ payload: zeros(27_182) })
    await failsWith(collect(call), grpc.status.DEADLINE_EXCEEDED)
  },
  cancel_after_begin: async () => {
    const call = done<InputReply>((callback) => {
      const begun = stub.StreamingInputCall(callback)
      process.nextTick(() => begun.cancel())
    })
    await failsWith(call, grpc.status.CANCELLED)
  },
  cancel_after_first_response: () => failsWith(pingPong(1), grpc.status.CANCELLED),
  status_code_and_message: () => status("test status method"),
  special_status_message: () => status("\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"),
  custom_metadata: metadata,
  unimplemented_method: () =>
    failsWith(
      done((callback) => stub.UnimplementedCall({}, callback)),
      grpc.status.UNIMPLEMENTED
    ),
  unimplemented_service: () =>
    failsWith(
      done((callback) => connect(UnimplementedService).UnimplementedCall({}, callback)),
      grpc.status.UNIMPLEMENTED
    ),
  client_compressed_unary: async () => {
    const request = (value: boolean) => ({ response_size: 314_159, payload: zeros(271_828), expect_compressed: { value } })
    await failsWith(unary(request(true)), grpc.status.INVALID_ARGUMENT)
    isZeros((await unary(request(true), zipped())).payload, 314_159)
    isZeros((await unary(request(false))).payload, 314_159)
  },
  client_compressed_streaming: async () => {
    const request = (size: number, value: boolean) => ({ payload: zeros(size), expect_compressed: { value } })
    await failsWith(input([[request(27_182, true), 0]]), grpc.status.INVALID_ARGUMENT)
    const { aggregated_payload_size: size } = await input(
      [
        [request(27_182, true), 0],
        [request(45_904, false), NO_COMPRESS]
      ],
      zipped()
    )
    assert.equal(size, 73_086)
  },
  rpc_soak: () => soak(() => stub),
  channel_soak: () => soak(() => connect(TestService, { "grpc.use_local_subchannel_pool": 1 }))
}

const run = cases[name]
if (run === undefined) throw new Error(`no case ${name}`)
run().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${String(error)}\n`)
    process.exit(1)
  }
)
