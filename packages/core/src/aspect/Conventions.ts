/**
 * How OpenTelemetry's conventions name a call, for spans and metrics alike: those for RPC, stable since 1.43 of the conventions, and those for HTTP where
 * the wire is REST.
 */
import type { CallShape } from "../Call.ts"
import * as Status from "../error/Status.ts"

/** `rpc.system.name` of a transport. */
export const system = (transport: string): string =>
  transport === "grpc-web" ? "grpc" : transport === "connect" ? "connectrpc" : transport === "http" ? "http" : transport

const grpcNames: ReadonlyArray<string> = Object.keys(Status.Grpc)

/** `rpc.response.status_code`: the name of the gRPC code, in Connect's spelling for Connect; the HTTP code on other wires. */
export const statusCode = (transport: string, status: Status.Status): string => {
  const name = system(transport)
  if (name !== "grpc" && name !== "connectrpc") return String(status.code)
  const code = status.code === 200 ? Status.Grpc.OK : Status.grpcCode(status)
  return name === "grpc" ? grpcNames[code]! : code === Status.Grpc.CANCELLED ? "canceled" : grpcNames[code]!.toLowerCase()
}

/** `rpc.method`. */
export const method = (call: Pick<CallShape, "service" | "method">): string => `${call.service}/${call.method}`

/** What a name is that is not one of a known few. */
export const OTHER = "_OTHER"

export interface Address {
  readonly host: string
  readonly port: number | undefined
}

/** How many addresses are remembered; above this the memory starts anew. */
const MAX_ADDRESSES = 1000

const addresses = new Map<string, Address | undefined>()

/** `host:port`, `[v6]:port` or a target; one without an authority (`discovery:///name`) is the name that it resolves. Calls over one connection have the same. */
export const address = (text: string): Address | undefined => {
  const known = addresses.get(text)
  if (known !== undefined) return known
  const parsed = parse(text)
  if (text.length > 256) return parsed
  if (addresses.size >= MAX_ADDRESSES) addresses.clear()
  addresses.set(text, parsed)
  return parsed
}

const parse = (text: string): Address | undefined => {
  // `10.0.0.1:5000`, of which there is one a call
  const plain = /^([^:/[\]]+):(\d{1,5})$/.exec(text)
  if (plain !== null) return { host: plain[1]!, port: Number(plain[2]) }
  const target = text.replace(/^[a-z][a-z0-9+.-]*:\/{2,3}/i, "").split("/", 1)[0]!
  const [, host = "", port] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(target) ?? []
  return host === "" ? undefined : { host: host.replace(/^\[|\]$/g, ""), port: port === undefined ? undefined : Number(port) }
}
