/** Load reports (ORCA), with a reply and out of band. */
import { fromBinary } from "@bufbuild/protobuf"
import * as Metadata from "@effect-kratos/core/Metadata"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { Carried, type Metadatas } from "../Carried.ts"
import { check } from "../Check.ts"
import { OrcaLoadReportSchema } from "../gen/xds/data/orca/v3/orca_load_report_pb.ts"
import { OpenRcaService } from "../gen/xds/service/orca/v3/orca_effect.ts"
import { duplex, type DuplexRequest, unary } from "./Calls.ts"

const report = (trailers: Metadata.Metadata | undefined) =>
  Effect.map(Effect.fromOption(Metadata.getBinary(trailers ?? Metadata.empty, "endpoint-load-metrics-bin")), (bytes) =>
    fromBinary(OrcaLoadReportSchema, bytes)
  )

export const orcaPerRpc = Effect.gen(function* () {
  const carried: Metadatas = { request: Metadata.empty }
  const orcaPerQueryReport = {
    cpuUtilization: 0.821,
    memoryUtilization: 0.5847,
    requestCost: { cost: 3456.32 },
    utilization: { util: 0.30499 }
  }
  yield* Effect.provideService(unary({ orcaPerQueryReport }), Carried, carried)
  const { cpuUtilization, memUtilization, requestCost, utilization } = yield* report(carried.trailers)
  const seen = { cpuUtilization, memoryUtilization: memUtilization, requestCost: { ...requestCost }, utilization: { ...utilization } }
  yield* check(() => assert.deepEqual(seen, orcaPerQueryReport))
})

/** Tells the server its load over one call and waits until another hears of it. */
export const orcaOob = Effect.gen(function* () {
  const rca = yield* OpenRcaService
  const requests = yield* Queue.unbounded<DuplexRequest, Cause.Done>()
  const replies = yield* Stream.toPull(duplex(Stream.fromQueue(requests)))
  for (const load of [
    { cpuUtilization: 0.821, memoryUtilization: 0.5847, utilization: { util: 0.30499 } },
    { cpuUtilization: 0.29309, memoryUtilization: 0.2, utilization: { util: 0.2039 } }
  ]) {
    yield* Queue.offer(requests, { orcaOobReport: load, responseParameters: [{ size: 1 }] })
    yield* replies
    const told = yield* rca.streamCoreMetrics({ reportInterval: { seconds: 0n, nanos: 100_000_000 } }).pipe(
      Stream.take(20),
      Stream.filter(({ cpuUtilization }) => cpuUtilization === load.cpuUtilization),
      Stream.runHead
    )
    yield* check(() => {
      const { cpuUtilization, memUtilization, utilization } = Option.getOrThrow(told)
      assert.deepEqual({ cpuUtilization, memoryUtilization: memUtilization, utilization: { ...utilization } }, load)
    })
  }
  yield* Queue.end(requests)
})
