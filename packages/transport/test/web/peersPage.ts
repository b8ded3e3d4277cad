/** Connect's own browser clients, as a page would load them. Bundled by a test. */
import { ConnectError, createClient } from "@connectrpc/connect"
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web"
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts"
import { Echo } from "../gen/test/v1/echo_pb.ts"

/** What became of one call of each sort. */
export const run = async (baseUrl: string, protocol: "connect" | "grpc-web", useBinaryFormat: boolean): Promise<object> => {
  const make = protocol === "connect" ? createConnectTransport : createGrpcWebTransport
  const echo = createClient(Echo, make({ baseUrl, useBinaryFormat }))
  const texts: Array<string> = []
  for await (const reply of echo.serverStream({ text: "s", count: 3 })) texts.push(reply.text)
  const failed = async (call: Promise<unknown>) => {
    try {
      await call
      return undefined
    } catch (error) {
      const { code } = ConnectError.from(error)
      return { code, reason: ConnectError.from(error).findDetails(ErrorInfoSchema)[0]?.reason }
    }
  }
  let trailer: string | null = null
  const headers = { "x-md-global-one": "uno", "x-md-two-bin": "AAH/" }
  const onTrailer = (trailers: Headers) => void (trailer = trailers.get("trailer-bin"))
  const reply = await echo.unary({ text: "u", echoMetadata: ["x-md-global-one", "x-md-two-bin"] }, { headers, onTrailer })
  const controller = new AbortController()
  const given = failed(echo.unary({ delayMs: 60_000 }, { signal: controller.signal }))
  setTimeout(() => controller.abort(), 100)
  return {
    texts,
    text: reply.text,
    metadata: reply.metadata,
    trailer,
    error: await failed(echo.unary({ text: "t", failReason: "THING_NOT_FOUND" })),
    late: await failed(echo.unary({ delayMs: 60_000 }, { timeoutMs: 50 })),
    given: await given
  }
}
