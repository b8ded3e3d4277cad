/**
 * The deadline of a REST call, as time left: `grpc-timeout` in gRPC's syntax (`500m` is half a second), so that one header serves both
 * protocols through any gateway, or `x-timeout-ms` in plain milliseconds, for people. With both, the shorter counts. Kratos itself sends
 * neither over HTTP.
 */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Result from "effect/Result"
import * as GrpcTimeout from "../grpc/Timeout.ts"

/** At most eight digits and a unit: H, M, S, m(illi), u (micro) or n(ano). */
export const grpcTimeout = "grpc-timeout"
/** At most ten digits, milliseconds. */
export const timeoutMs = "x-timeout-ms"

/** Milliseconds left by the two headers, as strings or undefined; undefined when neither is there. 400 `CODEC` on anything else. */
export const parse = (
  grpc: string | undefined,
  milliseconds: string | undefined
): Result.Result<number | undefined, KratosError.KratosError> => {
  let left: number | undefined
  if (grpc !== undefined) {
    left = GrpcTimeout.parse(grpc)
    if (left === undefined) return invalid(grpcTimeout)
  }
  if (milliseconds !== undefined) {
    if (!/^\d{1,10}$/.test(milliseconds)) return invalid(timeoutMs)
    left = Math.min(left ?? Infinity, Number(milliseconds))
  }
  return Result.succeed(left)
}

/** The milliseconds that a request leaves, or what is wrong with what it says. */
export const ofExchange = (exchange: {
  readonly header: (name: string) => string | undefined
}): { readonly left: number | undefined; readonly failure: KratosError.KratosError | undefined } => {
  const grpc = exchange.header(grpcTimeout)
  const milliseconds = exchange.header(timeoutMs)
  if (grpc === undefined && milliseconds === undefined) return none
  const parsed = parse(grpc, milliseconds)
  return Result.isSuccess(parsed) ? { left: parsed.success, failure: undefined } : { left: undefined, failure: parsed.failure }
}

const none = { left: undefined, failure: undefined }

const invalid = (header: string) => Result.fail(KratosError.badRequest("CODEC", `invalid ${header}`))
