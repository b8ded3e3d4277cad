/** Readers of header values, targets, queries and paths. */
import * as Base64Text from "../../../packages/transport/src/grpc-web/Base64Text.ts"
import * as ConnectTimeout from "../../../packages/transport/src/connect/Timeout.ts"
import * as EndStream from "../../../packages/transport/src/connect/EndStream.ts"
import * as ErrorJson from "../../../packages/transport/src/connect/ErrorJson.ts"
import * as GetQuery from "../../../packages/transport/src/connect/GetQuery.ts"
import * as GrpcStatus from "../../../packages/transport/src/grpc/Status.ts"
import * as GrpcTimeout from "../../../packages/transport/src/grpc/Timeout.ts"
import * as HeaderFields from "../../../packages/transport/src/HeaderFields.ts"
import * as AcceptEncoding from "../../../packages/transport/src/http/AcceptEncoding.ts"
import * as Compression from "../../../packages/transport/src/http/Compression.ts"
import * as Forwarded from "../../../packages/transport/src/http/Forwarded.ts"
import * as Codecs from "../../../packages/transport/src/codec/Codecs.ts"
import * as QueryString from "../../../packages/transport/src/codec/QueryString.ts"
import * as Binding from "../../../packages/transport/src/rest/Binding.ts"
import * as PathTemplate from "../../../packages/transport/src/rest/PathTemplate.ts"
import * as RestTimeout from "../../../packages/transport/src/rest/Timeout.ts"
import * as Router from "../../../packages/transport/src/rest/Router.ts"
import * as WebSocketControl from "../../../packages/transport/src/rest/WebSocketControl.ts"
import * as TargetText from "../../../packages/transport/src/Target.ts"
import { Rest } from "../../../packages/transport/test/gen/test/v1/rest_pb.ts"
import { toBinary } from "@bufbuild/protobuf"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Grpc } from "@effect-kratos/core/error/Status"
import * as Metadata from "@effect-kratos/core/Metadata"
import * as Result from "effect/Result"
import * as net from "node:net"
import { mutate } from "../Mutation.ts"
import { bytesOf, holds, type Target } from "../Target.ts"

const DIGITS = ["0", "1", "9", "12345678", "99999999", "123456789", "H", "M", "S", "m", "u", "n", "+", "-", ".", " ", "e5", "٣", "0x"]

const timeouts: Target = {
  name: "timeouts",
  share: 14,
  law: "digits and a unit, nothing else; what is written for a time is never less than the time",
  make: (random) => mutate(random, random.some(DIGITS, 3), DIGITS, 2),
  run: (text) => {
    const grpc = GrpcTimeout.parse(text)
    holds((grpc !== undefined) === /^[0-9]{1,8}[HMSmun]$/.test(text), () => `grpc-timeout ${String(grpc)}`)
    const connect = ConnectTimeout.parse(text)
    holds((connect !== undefined) === /^[0-9]{1,10}$/.test(text), () => `connect-timeout-ms ${String(connect)}`)
    const rest = RestTimeout.parse(text, text)
    holds(Result.isFailure(rest) || Number.isFinite(rest.success), () => "REST")
    for (const millis of [grpc, connect]) {
      if (millis === undefined) continue
      holds(Number.isFinite(millis) && millis >= 0, () => `${millis} ms`)
      const again = GrpcTimeout.parse(GrpcTimeout.format(millis))
      holds(again !== undefined && again >= Math.min(millis, 99_999_999 * 3_600_000), () => `${millis} ms become ${String(again)}`)
    }
  }
}

const PERCENT = ["%", "%41", "%e4%b8%96", "%ff", "%zz", "%4", "a", "é", "世", "😀", "\ud800", "\r\n", "\0", " ", "%25"]

/** The same by the letter: what is %XX is an octet, the rest stays. */
const plainDecode = (text: string): string => {
  const octets: Array<number> = []
  for (let i = 0; i < text.length;) {
    const match = /^%([0-9a-fA-F]{2})/.exec(text.slice(i, i + 3))
    octets.push(match === null ? text.charCodeAt(i) & 0xff : Number.parseInt(match[1]!, 16))
    i += match === null ? 1 : 3
  }
  return Buffer.from(octets).toString("utf8")
}

const grpcMessage: Target = {
  name: "grpc-message",
  share: 10,
  law: "any text is read; any text that is written is printable ASCII and is read back",
  make: (random) => mutate(random, random.some(PERCENT, 12), PERCENT),
  run: (text) => {
    const decoded = GrpcStatus.decodeMessage(text)
    if (text.includes("%")) holds(decoded === plainDecode(text), () => `read as ${decoded}`)
    const encoded = GrpcStatus.encodeMessage(text)
    holds(/^[ -~]*$/.test(encoded), () => `written as ${encoded}`)
    holds(
      GrpcStatus.decodeMessage(encoded) === text.toWellFormed(),
      () => `written as ${encoded}, read as ${GrpcStatus.decodeMessage(encoded)}`
    )
  }
}

const NAMES = [
  "x-a",
  "x-bin",
  "grpc-status",
  "grpc-message",
  "grpc-status-details-bin",
  "te",
  "__proto__",
  "constructor",
  "content-type",
  ":path"
]
const BASE64 = ["AAAA", "AA==", "AA", "A", "_-", "=", ",", " ", "é", "CgNub3Q", "ChJleGFtcGxl", "0", "5", "99999", "-1", ""]

const metadata: Target = {
  name: "metadata",
  share: 5,
  law: "fields of any kind become metadata, status and errors without a throw; what can be sent again is sent as header values",
  make: (random) => {
    const list: Array<string> = []
    for (let i = random.below(6); i > 0; i--) list.push(random.pick(NAMES), mutate(random, random.some(BASE64, 4), BASE64, 2))
    return JSON.stringify(list)
  },
  run: (input) => {
    // made above
    const fields = JSON.parse(input) as ReadonlyArray<string>
    const read = HeaderFields.toMetadata(fields)
    for (const name of NAMES) {
      Metadata.get(read, name)
      Metadata.getBinary(read, name)
    }
    const trailers = HeaderFields.toTrailers(fields)
    const error = GrpcStatus.fromMetadata(trailers)
    if (error !== undefined) {
      for (const [, value] of GrpcStatus.toFields(error)) holds(/^[ -~]*$/.test(value), () => `status field ${value}`)
    }
    const sent = HeaderFields.fromMetadata(read)
    if (Array.isArray(sent)) for (const [, value] of sent) holds(!/[\r\n\0]/.test(value), () => `a field that is two: ${value}`)
  }
}

const ENCODINGS = [
  "gzip",
  "x-gzip",
  "br",
  "zstd",
  "identity",
  "*",
  "deflate",
  ";q=",
  "q=0",
  "0.5",
  "1",
  "1.001",
  "0.0000",
  "-1",
  ",",
  ";",
  " ",
  "\t",
  "=",
  "text/html",
  "application/json",
  "application/xml",
  "q=0.9",
  "é"
]

const negotiation: Target = {
  name: "accept",
  share: 6,
  law: "a header of any kind chooses among what is offered; what it refuses by weight is not chosen",
  make: (random) => mutate(random, random.some(ENCODINGS, 12), ENCODINGS, 2),
  run: (text) => {
    const { chosen } = Compression.negotiate(text, ["zstd", "br", "gzip"])
    holds(chosen === undefined || text.toLowerCase().includes(chosen) || text.includes("*") || chosen === "gzip", () => `chose ${chosen}`)
    for (const name of ["zstd", "br", "gzip"] as const) {
      holds(Compression.negotiate(`${name};q=0,${text}`, [name]).chosen === undefined, () => `chose ${name} that has no weight`)
      holds(Compression.negotiate(`identity;q=0,${name};q=0.001,${text}`, [name]).chosen === name, () => `did not choose ${name}`)
    }
    AcceptEncoding.takesGzip(text)
    holds(
      typeof Codecs.standard.forReply(text).encode === "function" && typeof Codecs.standard.forError(text).encode === "function",
      () => "no codec"
    )
    const body = Codecs.standard.forBody(text)
    holds(Result.isSuccess(body) || (body.failure.code === 415 && body.failure.message.length < 200), () => "no 415")
  }
}

const HOPS = [
  "1.2.3.4",
  "10.0.0.1",
  "::1",
  "[::1]:80",
  "1.2.3.4:80",
  "unknown",
  "_hidden",
  ",",
  ";",
  "for=",
  "proto=",
  "host=",
  "by=",
  '"',
  "\\",
  "https",
  "a.b:1",
  " ",
  "=",
  "\t",
  "é",
  "1.2.3.256",
  "[1.2.3.4]",
  "fe80::1%eth0"
]

const resolvers = [2, ["10.0.0.0/8", "::1"]].flatMap((proxies) =>
  (["x-forwarded", "forwarded"] as const).map((fields) => Result.getOrThrow(Forwarded.make({ proxies, fields })))
)

const forwarded: Target = {
  name: "forwarded",
  share: 6,
  law: "an origin that is found is an IP address with a port or none, a scheme of two, a host without white space; or it is the connection's",
  make: (random) => mutate(random, random.some(HOPS, 12), HOPS, 2),
  run: (text) => {
    const origin = { address: "10.9.9.9:5", endpoint: "", identity: undefined }
    const fields = ["x-forwarded-for", text, "x-forwarded-proto", text, "x-forwarded-host", text, "forwarded", text]
    for (const resolve of resolvers) {
      const found = resolve(origin, fields)
      const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([^:]+))(?::\d{1,5})?$/.exec(found.address) ?? []
      holds(net.isIP(bracketed ?? plain ?? "") !== 0, () => `address ${found.address}`)
      holds(found.scheme === undefined || found.scheme === "http" || found.scheme === "https", () => `scheme ${found.scheme}`)
      holds(found.host === undefined || /^[\w.\-[\]:]+$/.test(found.host), () => `host ${found.host}`)
    }
  }
}

const TARGETS = [
  "dns:///",
  "_grpc._tcp.",
  "discovery:///",
  "direct:///",
  "unix:///",
  "http://",
  "https://",
  "grpc://",
  "a",
  "b.c",
  ":80",
  ":0",
  ":99999",
  ",",
  "[::1]",
  "/",
  "%41",
  "%zz",
  " ",
  "://",
  "#",
  "?",
  "é"
]

const targetText: Target = {
  name: "target",
  share: 30,
  law: "a target is a name, addresses with a port, or it says what is wrong",
  make: (random) => mutate(random, random.some(TARGETS, 6), TARGETS, 2),
  run: (text) => {
    const parsed = TargetText.parse(text)
    if (parsed._tag === "Invalid") return holds(parsed.message !== "", () => "no message")
    if (parsed._tag === "Discovery") return holds(parsed.name !== "", () => "no name")
    if (parsed._tag === "Dns") {
      const { question } = parsed
      return "srv" in question
        ? holds(question.srv.startsWith("_"), () => question.srv)
        : holds(question.host !== "" && question.port >= 1 && question.port <= 65_535, () => `${question.host}:${question.port}`)
    }
    holds(parsed.addresses.length > 0, () => "no address")
    for (const { host, path, port } of parsed.addresses)
      holds(host !== "" && (path !== undefined || (port >= 1 && port <= 65_535)), () => `${host}:${port}`)
  }
}

const TEMPLATE = [
  "/",
  "{",
  "}",
  "=",
  "*",
  "**",
  ":",
  "a",
  "b_c",
  "v1",
  "{name}",
  "{a.b=shelves/*}",
  "{p=**}",
  "%2F",
  "%41",
  "%",
  " ",
  "é",
  "{",
  "..",
  "//"
]
const VALUES = ["a", "b/c", "é", "%", "", "..", "shelves/1", "😀", " ", "a:b"]

const template: Target = {
  name: "path-template",
  share: 3,
  law: "a template parses or says where it does not; a path that it builds from values gives the values back",
  make: (random) =>
    JSON.stringify([`/${mutate(random, random.some(TEMPLATE, 7), TEMPLATE, 2)}`, ...Array.from({ length: 4 }, () => random.pick(VALUES))]),
  run: (input) => {
    const [source = "", ...values] = JSON.parse(input) as ReadonlyArray<string> // made above
    const parsed = PathTemplate.parse(source)
    if (Result.isFailure(parsed)) {
      holds(parsed.failure.position >= 0 && parsed.failure.position <= source.length, () => `position ${parsed.failure.position}`)
      return
    }
    const { success } = parsed
    // a router goes no deeper
    if (success.segments.length > 64) return
    const built = PathTemplate.build(success, values)
    if (Result.isFailure(built)) return
    const match = Router.make([{ method: "GET", template: success, value: 1 }]).match("GET", built.success)
    holds(match._tag === "Found", () => `built ${built.success}, which it does not match: ${match._tag}`)
    if (match._tag !== "Found") return
    const raw = success.variables.map((variable, i) => [match.variables[i], values[i]] as const)
    holds(
      raw.every(([got, given]) => got === given || got === given?.toWellFormed()),
      () => `built ${built.success}, read ${JSON.stringify(raw)}`
    )
  }
}

const bindings = Rest.methods.flatMap((method) => Result.getOrThrow(Binding.fromMethod(method)))
const router = Router.make(bindings.map((binding) => ({ method: binding.httpMethod, template: binding.template, value: binding })))
const PATHS = [
  "/",
  "v1",
  "wide",
  "shelves",
  "files",
  ":cancel",
  ":watch",
  "tasks",
  "books",
  "%2F",
  "%",
  "%ff",
  "%41",
  "a",
  "*",
  "{name}",
  ":",
  "ü",
  "\0",
  "..",
  "//"
]
const QUERY = [
  "&",
  "=",
  "%",
  "%5B",
  "[",
  "]",
  ".",
  "+",
  "nested",
  "labels",
  "struct",
  "values",
  "by_long",
  "byFlag",
  "mask",
  "any",
  "choice_nested",
  "__proto__",
  "[999999999]",
  "[a]",
  ".name",
  ".value",
  "1",
  "null",
  "{}",
  "1e999",
  "9".repeat(400),
  "2024-01-01T00:00:00Z",
  "1s",
  "aGk=",
  "%zz",
  "%00",
  "é"
]

const rest: Target = {
  name: "rest-request",
  share: 8,
  law: "a request finds its method or not, binds or is refused with 4xx CODEC; what is bound can be written",
  make: (random) =>
    JSON.stringify([
      random.pick(["GET", "POST", "PUT", "PATCH", "DELETE", "__proto__"]),
      mutate(random, random.some(PATHS, 8, random.pick(["/", ""])), PATHS, 2),
      mutate(random, random.some(QUERY, 14), QUERY, 2)
    ]),
  run: (input) => {
    const [method = "", path = "", query = ""] = JSON.parse(input) as ReadonlyArray<string> // made above
    const match = router.match(method, path.startsWith("/") ? path : `/${path}`)
    holds(["Found", "NotFound", "MethodNotAllowed", "BadPath"].includes(match._tag), () => match._tag)
    const binding = match._tag === "Found" ? match.route.value : bindings.find((one) => one.method.localName === "getWide")!
    const variables = match._tag === "Found" ? match.variables : ["s"]
    holds(variables.length === binding.template.variables.length, () => `${variables.length} variables`)
    const bound = binding.bind({ variables, query, contentType: undefined, body: undefined })
    if (Result.isFailure(bound)) {
      const { code, message, reason } = bound.failure
      return holds((code === 400 || code === 415) && reason === "CODEC" && message.length < 260, () => `${code} ${reason} ${message}`)
    }
    toBinary(binding.method.input, bound.success)
    holds(({} as { x?: unknown }).x === undefined, () => "the prototype of all objects has changed")
  }
}

const queryString: Target = {
  name: "query-string",
  share: 6,
  law: "pairs are decoded as URLSearchParams does, or the encoding is broken; what is written is read back",
  make: (random) => mutate(random, random.some(QUERY, 8), QUERY, 2),
  run: (text) => {
    const pairs: Array<readonly [string, string]> = []
    let broken = false
    QueryString.each(text, (key, value) => {
      try {
        pairs.push([QueryString.decode(key), QueryString.decode(value)])
      } catch (error) {
        if (!(error instanceof QueryString.BadEncoding)) throw error
        broken = true
      }
    })
    if (broken) return
    const theirs = [...new URLSearchParams(text.startsWith("?") ? `?${text}` : text)]
    const expected = theirs.map(([key, value]) => [key.toWellFormed(), value.toWellFormed()])
    const ours = pairs.map(([key, value]) => [key.toWellFormed(), value.toWellFormed()])
    holds(
      JSON.stringify(ours) === JSON.stringify(expected),
      () => `ours ${JSON.stringify(ours)}, URLSearchParams ${JSON.stringify(expected)}`
    )
    const again: Array<readonly [string, string]> = []
    QueryString.each(QueryString.format(pairs), (key, value) => again.push([QueryString.decode(key), QueryString.decode(value)]))
    const sorted = pairs
      .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map((pair) => pair.map((one) => one.toWellFormed()))
      .filter(([key, value]) => key !== "" || value !== "")
    holds(
      JSON.stringify(again.filter(([key, value]) => key !== "" || value !== "")) === JSON.stringify(sorted),
      () => `read back as ${JSON.stringify(again)}`
    )
  }
}

const quanta = ["AAAA", "AA==", "AAA=", "AAE=", "=", "==", "A", "AA", "*", "_", "-", " ", "\n", "é", "/+9x"]

/** RFC 4648 by the quantum: four digits, the last one or two of them padding. */
const plainBase64 = (text: string): Buffer | undefined => {
  if (text.length % 4 !== 0 || !/^(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)*$/.test(text)) return undefined
  return Buffer.concat((text.match(/.{4}/g) ?? []).map((quantum) => Buffer.from(quantum, "base64")))
}

const base64: Target = {
  name: "base64-text",
  share: 8,
  law: "quanta of four with padding of their own, in any cut, and nothing else",
  make: (random) => String.fromCharCode(random.below(256)) + mutate(random, random.some(quanta, 8), quanta, 2),
  run: (input) => {
    const bytes = bytesOf(input.slice(1))
    const text = bytes.toString("latin1")
    const size = 1 + (input.charCodeAt(0) % 9)
    const reader = Base64Text.make()
    const parts: Array<Uint8Array> = []
    let failed = false
    for (let at = 0; at < bytes.length && !failed; at += size) {
      const part = reader.decode(bytes.subarray(at, at + size))
      if (part instanceof Uint8Array) parts.push(part)
      else failed = true
    }
    failed ||= reader.end() !== undefined
    const expected = plainBase64(text)
    holds(failed === (expected === undefined), () => `${failed ? "refused" : "read"} by us alone`)
    if (!failed) holds(Buffer.concat(parts).equals(expected!), () => `read as ${Buffer.concat(parts).toString("hex")}`)
  }
}

const ERRORS = [
  '{"error":',
  '{"code":"not_found"',
  ',"message":"m"',
  ',"details":[',
  '{"type":"google.rpc.ErrorInfo","value":"CgFS"}',
  "]",
  "}",
  '"metadata":{',
  '"a":["b"]',
  '"__proto__":["x"]',
  "null",
  "1",
  "[",
  ",",
  '"',
  "\xff",
  "\x1eend",
  "\x1eerror:",
  "error: code = 404 reason = R message = M metadata = map[k:v] cause = <nil>",
  "connect=v1",
  "&encoding=json",
  "&message=",
  "&base64=1",
  "%7B%7D",
  "e30",
  "&compression=gzip",
  "%",
  "+"
]

const replies: Target = {
  name: "connect-texts",
  share: 20,
  law: "the last envelope, errors in JSON, queries of GET and control messages of WebSockets are read or refused, never thrown",
  make: (random) => mutate(random, random.some(ERRORS, 8), ERRORS, 3),
  run: (text) => {
    const bytes = bytesOf(text)
    const end = EndStream.decode(bytes)
    if (end !== undefined) {
      holds(end.trailers instanceof Map, () => "no trailers")
      const again = EndStream.decode(
        EndStream.encode(
          end.error,
          [...end.trailers].flatMap(([name, values]) => values.map((value) => [name, value] as const))
        ).subarray(5)
      )
      holds(
        again !== undefined && again.error?.code === end.error?.code && again.trailers.size === end.trailers.size,
        () => "not read back"
      )
    }
    let json: unknown
    try {
      json = JSON.parse(text)
    } catch {
      json = text
    }
    holds(ErrorJson.parse(json, Grpc.UNKNOWN) instanceof KratosError.KratosError, () => "no error")
    const query = GetQuery.parse(text)
    holds(typeof query === "string" ? query.length < 100 : query.message instanceof Uint8Array, () => "neither a request nor a reason")
    const control = WebSocketControl.parse(bytes)
    holds((control !== undefined) === (bytes[0] === 0x1e), () => "a message taken for a control message")
    if (control?._tag === "Error") {
      const reason = WebSocketControl.closeReason(control.error)
      holds(Buffer.byteLength(reason) <= 123 && reason.isWellFormed(), () => `close reason of ${Buffer.byteLength(reason)} bytes`)
    }
  }
}

export const texts: ReadonlyArray<Target> = [
  timeouts,
  grpcMessage,
  metadata,
  negotiation,
  forwarded,
  targetText,
  template,
  rest,
  queryString,
  base64,
  replies
]
