/**
 * The deadline of a REST call, as time left: `grpc-timeout` in gRPC's syntax (`500m` is half a second), so that one header serves both
 * protocols through any gateway, or `x-timeout-ms` in plain milliseconds, for people. With both, the shorter counts. Kratos itself sends
 * neither over HTTP.
 */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Result from "effect/Result"

/** At most eight digits and a unit: H, M, S, m(illi), u (micro) or n(ano). */
export const grpcTimeout = "grpc-timeout"
/** At most ten digits, milliseconds. */
export const timeoutMs = "x-timeout-ms"

const millisecondsPer: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }

/** Milliseconds left by the two headers, as strings or undefined; undefined when neither is there. 400 `CODEC` on anything else. */
export const parse = (
  grpc: string | undefined,
  milliseconds: string | undefined
): Result.Result<number | undefined, KratosError.KratosError> => {
  let left: number | undefined
  if (grpc !== undefined) {
    const match = /^(\d{1,8})([HMSmun])$/.exec(grpc)
    if (match === null) return invalid(grpcTimeout)
    left = Number(match[1]) * millisecondsPer[match[2]!]!
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
  const parsed = parse(exchange.header(grpcTimeout), exchange.header(timeoutMs))
  return Result.isSuccess(parsed) ? { left: parsed.success, failure: undefined } : { left: undefined, failure: parsed.failure }
}

/** The value of `grpc-timeout` for a client: rounded up, in the finest unit that holds it, never less than nothing. */
export const format = (milliseconds: number): string => {
  if (!(milliseconds > 0)) return "0m"
  for (const unit of ["m", "S", "M"] as const) {
    const value = Math.ceil(milliseconds / millisecondsPer[unit]!)
    if (value <= 99_999_999) return `${value}${unit}`
  }
  return `${Math.min(99_999_999, Math.ceil(milliseconds / millisecondsPer["H"]!))}H`
}

const invalid = (header: string) => Result.fail(KratosError.badRequest("CODEC", `invalid ${header}`))
