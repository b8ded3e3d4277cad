/**
 * Our implementation of `grpc.testing.TestService`, as gRPC's interop test descriptions want it: sizes and intervals as asked for, echoed metadata and status,
 * compression message by message, load reports (ORCA) with a reply and out of band.
 */
import { create, toBinary } from "@bufbuild/protobuf"
import { Call } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Grpc } from "@effect-kratos/core/error/Status"
import * as Metadata from "@effect-kratos/core/Metadata"
import * as MessageCompression from "@effect-kratos/transport/MessageCompression"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as os from "node:os"
import type {
  BoolValue,
  EchoStatus,
  ResponseParameters,
  SimpleRequest,
  StreamingInputCallRequest,
  StreamingOutputCallRequest,
  TestOrcaReport
} from "../gen/grpc/testing/messages_pb.ts"
import { TestService } from "../gen/grpc/testing/test_effect.ts"
import { type OrcaLoadReport, OrcaLoadReportSchema } from "../gen/xds/data/orca/v3/orca_load_report_pb.ts"
import { OpenRcaService } from "../gen/xds/service/orca/v3/orca_effect.ts"

const echoInitial = "x-grpc-test-echo-initial"
const echoTrailing = "x-grpc-test-echo-trailing-bin"
const loadReport = "endpoint-load-metrics-bin"

/** Longest payload that a server makes, in bytes: what clients take by default. */
const MAX_PAYLOAD = 4_194_304

const invalid = (message: string) => KratosError.fromGrpc(Grpc.INVALID_ARGUMENT, message)

const payload = (size: number) =>
  size < 0 || size > MAX_PAYLOAD ? Effect.fail(invalid(`no payload has ${size} bytes`)) : Effect.succeed({ body: new Uint8Array(size) })

/** The load that a client told this server to report out of band. */
class Load extends Context.Service<Load, { report: OrcaLoadReport }>()("@effect-kratos/interop/testing/Load") {
  static readonly layer = Layer.sync(Load, () => ({ report: create(OrcaLoadReportSchema) }))
}

const toReport = (report: TestOrcaReport): OrcaLoadReport =>
  create(OrcaLoadReportSchema, {
    cpuUtilization: report.cpuUtilization,
    memUtilization: report.memoryUtilization,
    requestCost: report.requestCost,
    utilization: report.utilization
  })

const echoMetadata = Effect.map(Call, ({ reply, request, trailers }) => {
  for (const value of Metadata.getAll(request, echoInitial)) Metadata.add(reply, echoInitial, value)
  for (const value of Metadata.getAll(request, echoTrailing)) Metadata.add(trailers, echoTrailing, value)
})

const echoStatus = (status: EchoStatus | undefined) =>
  status === undefined || status.code === 0 ? Effect.void : Effect.fail(KratosError.fromGrpc(status.code, status.message))

const expectCompressed = (message: object, expected: BoolValue | undefined) =>
  expected === undefined || expected.value === MessageCompression.wasCompressed(message)
    ? Effect.void
    : Effect.fail(invalid(`the request was ${expected.value ? "not " : ""}compressed`))

/** Compresses a reply or not when the request says which, else in kind. */
const asAsked = <A extends object>(reply: A, compressed: BoolValue | undefined): A =>
  compressed?.value === false ? MessageCompression.uncompressed(reply) : reply

const unary = Effect.fnUntraced(function* (request: SimpleRequest) {
  yield* echoMetadata
  yield* expectCompressed(request, request.expectCompressed)
  yield* echoStatus(request.responseStatus)
  if (request.responseCompressed?.value === true) yield* MessageCompression.replies
  const { trailers } = yield* Call
  if (request.orcaPerQueryReport !== undefined) {
    Metadata.setBinary(trailers, loadReport, toBinary(OrcaLoadReportSchema, toReport(request.orcaPerQueryReport)))
  }
  const reply = {
    payload: yield* payload(request.responseSize),
    serverId: request.fillServerId ? `effect-kratos-${process.pid}` : "",
    hostname: os.hostname()
  }
  return asAsked(reply, request.responseCompressed)
})

const reply = Effect.fnUntraced(function* (parameters: ResponseParameters) {
  if (parameters.intervalUs > 0) yield* Effect.sleep(parameters.intervalUs / 1000)
  const { peer } = yield* Call
  const message = {
    payload: yield* payload(parameters.size),
    peerSocketAddress: parameters.fillPeerSocketAddress?.value === true ? peer : ""
  }
  return asAsked(message, parameters.compressed)
})

const replies = (request: StreamingOutputCallRequest) =>
  Stream.unwrap(
    Effect.as(
      request.responseParameters.some(({ compressed }) => compressed?.value === true) ? MessageCompression.replies : Effect.void,
      // one at a time: a reply may have to wait, and a large one should not for the others
      Stream.rechunk(Stream.mapEffect(Stream.fromIterable(request.responseParameters), reply), 1)
    )
  )

const answer = (request: StreamingOutputCallRequest) =>
  Stream.unwrap(
    Effect.gen(function* () {
      yield* echoStatus(request.responseStatus)
      const load = yield* Load
      if (request.orcaOobReport !== undefined) load.report = toReport(request.orcaOobReport)
      return replies(request)
    })
  )

const TestServiceOnly = TestService.layer({
  *emptyCall() {
    return {}
  },
  unaryCall: unary,
  *cacheableUnaryCall(request) {
    const { reply } = yield* Call
    Metadata.set(reply, "cache-control", "max-age=60, public")
    return yield* unary(request)
  },
  streamingOutputCall: replies,
  streamingInputCall: (requests) =>
    Effect.map(
      Stream.runFold(
        Stream.tap(requests, (request: StreamingInputCallRequest) => expectCompressed(request, request.expectCompressed)),
        () => 0,
        (sum, { payload }) => sum + (payload?.body.length ?? 0)
      ),
      (aggregatedPayloadSize) => ({ aggregatedPayloadSize })
    ),
  fullDuplexCall: (requests) => Stream.unwrap(Effect.as(echoMetadata, Stream.flatMap(requests, answer))),
  halfDuplexCall: (requests) =>
    Stream.unwrap(Effect.map(Stream.runCollect(requests), (all) => Stream.flatMap(Stream.fromIterable(all), replies))),
  // the contract: no server implements it
  unimplementedCall: () => Effect.fail(KratosError.fromGrpc(Grpc.UNIMPLEMENTED, "not implemented"))
})

/** Shortest interval between two reports, in milliseconds. */
const MIN_INTERVAL = 100

const OutOfBand = OpenRcaService.layer({
  streamCoreMetrics: ({ reportInterval }) =>
    Stream.unwrap(
      Load.useSync((load) => {
        const interval = Number(reportInterval?.seconds ?? 0) * 1000 + (reportInterval?.nanos ?? 0) / 1_000_000
        return Stream.concat(
          Stream.sync(() => load.report),
          Stream.fromEffectRepeat(Effect.as(Effect.sleep(Math.max(MIN_INTERVAL, interval)), load).pipe(Effect.map(({ report }) => report)))
        )
      })
    )
})

export const services = [TestService, OpenRcaService] as const

export const TestServiceLive = Layer.mergeAll(TestServiceOnly, OutOfBand).pipe(Layer.provide(Load.layer))
