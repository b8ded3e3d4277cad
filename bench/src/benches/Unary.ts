/** gRPC unary calls: bare, over TLS, and through a stack of aspects. */
import * as Effect from "effect/Effect"
import type { Scope } from "effect/Scope"
import * as fs from "node:fs"
import type { Bench } from "../Bench.ts"
import type { BenchError } from "../BenchError.ts"
import * as Check from "../Check.ts"
import * as Child from "../Child.ts"
import * as Load from "../Load.ts"
import * as Shape from "../Shape.ts"
import * as Subject from "../Subject.ts"
import * as Machine from "./Machine.ts"
import * as Served from "./Served.ts"

/** The servers of the greeter. */
export const subjects = ({ go }: Machine.Machine): ReadonlyArray<Subject.Subject> => [
  Subject.node("http2", "unary-http2"),
  Subject.node("grpc-js", "unary-grpc-js"),
  Subject.node("nice-grpc", "unary-nice-grpc"),
  Subject.node("nestjs", "unary-nestjs"),
  Subject.node("connect-node", "unary-connect-node"),
  Subject.go("grpc-go", go, "grpc-go"),
  Subject.go("kratos", go, "kratos"),
  Subject.node("effect-kratos", "unary-effect-kratos")
]

/** Aspects cost against bare servers: the names say which is which. */
const aspectSubjects = ({ go }: Machine.Machine): ReadonlyArray<Subject.Subject> => [
  Subject.node("grpc-js", "unary-grpc-js"),
  Subject.go("kratos-aspects", go, "kratos", ["aspects"]),
  Subject.node("effect-kratos-bare", "unary-effect-kratos"),
  Subject.node("effect-kratos-aspects", "aspects-effect-kratos")
]

/** What stands in front of a service in production, and everything that records, against Kratos with the same and a bare server. */
const guardedSubjects = ({ go }: Machine.Machine): ReadonlyArray<Subject.Subject> => [
  Subject.node("grpc-js", "unary-grpc-js"),
  Subject.go("kratos-guarded", go, "kratos", ["guarded"]),
  Subject.node("effect-kratos-guarded", "guarded-effect-kratos"),
  Subject.node("effect-kratos-recording", "recording-effect-kratos")
]

/** The headers of every gRPC call under h2load. */
export const headers = ["content-type: application/grpc", "te: trailers"]

interface Options {
  readonly name: string
  readonly subjects: ReadonlyArray<Subject.Subject>
  readonly loads: ReadonlyArray<string>
  readonly tls?: { readonly cert: string; readonly key: string } | undefined
  /** Counts the replies that have a message, not those that refuse. */
  readonly answeredOnly?: boolean | undefined
}

const make = Effect.fnUntraced(function* (machine: Machine.Machine, options: Options): Effect.fn.Return<Bench, BenchError> {
  const body = Machine.write(machine, "hello.bin", Check.frame())
  const load = Load.h2load(yield* Machine.program("h2load"), machine.cores.load, { body, headers })
  const { tls } = options
  const certificate = tls && fs.readFileSync(tls.cert)
  return Served.make(machine, {
    name: options.name,
    subjects: options.subjects,
    loads: options.loads,
    what: "calls",
    amount: options.answeredOnly === true ? ({ bytes }) => bytes / Check.REPLY : undefined,
    env: tls && { BENCH_TLS_CERT: tls.cert, BENCH_TLS_KEY: tls.key },
    check: (port) => Check.unary(port, certificate),
    load: (port, shape, seconds) => load.run(`http${tls ? "s" : ""}://127.0.0.1:${port}${Check.method}`, Shape.parse(shape)!, seconds)
  })
})

export const unary = (machine: Machine.Machine) =>
  make(machine, { name: "unary", subjects: subjects(machine), loads: Shape.names(machine.args.shapes, ["10x10", "64x1", "1x100"]) })

export const aspects = (machine: Machine.Machine) =>
  make(machine, { name: "aspects", subjects: aspectSubjects(machine), loads: Shape.names(machine.args.shapes, ["10x10"]) })

/** A limiter may refuse some of the calls. */
export const guarded = (machine: Machine.Machine) =>
  make(machine, {
    name: "guarded",
    subjects: guardedSubjects(machine),
    loads: Shape.names(machine.args.shapes, ["10x10"]),
    answeredOnly: true
  })

/** A certificate for the loopback, trusted by nobody, of the kind that most servers have. */
const certificate = Effect.fnUntraced(function* (machine: Machine.Machine) {
  const openssl = yield* Machine.program("openssl")
  const [key, cert] = [`${machine.folder}/key.pem`, `${machine.folder}/cert.pem`]
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
  yield* Child.run([openssl, "req", "-x509", ...curve, "-days", "2", ...names, "-keyout", key, "-out", cert], 20)
  return { key, cert }
})

export const tls = Effect.fnUntraced(function* (machine: Machine.Machine): Effect.fn.Return<Bench, BenchError, Scope> {
  const loads = Shape.names(machine.args.shapes, ["10x10"])
  return yield* make(machine, { name: "tls", subjects: subjects(machine), loads, tls: yield* certificate(machine) })
})
