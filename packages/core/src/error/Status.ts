/**
 * The status of a failed call: an HTTP-style code and a machine-readable reason, and how codes map between HTTP and gRPC.
 *
 * The tables are those of Kratos v3, so that Go services and ours read each other's errors alike; `"v2"` selects the one row in which
 * Kratos v2 differs. They lose information on purpose (ALREADY_EXISTS → 409 → ABORTED); a status that came from gRPC keeps its number in
 * `grpc` and leaves with it again.
 */

/** Marks an error with the status under which it leaves the process. */
export const TypeId = "~@effect-kratos/core/error/Status"

export interface Status {
  /** HTTP semantics, 300–599. */
  readonly code: number
  /** Machine-readable, unique inside a service: `USER_NOT_FOUND`; empty when unknown. */
  readonly reason: string
  /** The gRPC code on the wire where it came from, when `code` alone would not lead back to it. */
  readonly grpc?: GrpcCode | undefined
}

/** gRPC status codes by name. */
export const Grpc = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16
} as const

export type GrpcCode = (typeof Grpc)[keyof typeof Grpc]

/** Whose table: v3 pairs 412 with FAILED_PRECONDITION; v2 sends 412 as UNKNOWN and reads FAILED_PRECONDITION as 400. */
export type Dialect = "v2" | "v3"

const toHttp: ReadonlyArray<number> = [200, 499, 500, 400, 504, 404, 409, 403, 429, 412, 409, 400, 501, 500, 503, 500, 401]

const toGrpc: ReadonlyMap<number, GrpcCode> = new Map([
  [200, Grpc.OK],
  [400, Grpc.INVALID_ARGUMENT],
  [401, Grpc.UNAUTHENTICATED],
  [403, Grpc.PERMISSION_DENIED],
  [404, Grpc.NOT_FOUND],
  [409, Grpc.ABORTED],
  [412, Grpc.FAILED_PRECONDITION],
  [429, Grpc.RESOURCE_EXHAUSTED],
  [499, Grpc.CANCELLED],
  [500, Grpc.INTERNAL],
  [501, Grpc.UNIMPLEMENTED],
  [503, Grpc.UNAVAILABLE],
  [504, Grpc.DEADLINE_EXCEEDED]
])

/** True for the seventeen codes that gRPC defines. */
export const isGrpcCode = (code: number): code is GrpcCode => Number.isInteger(code) && code >= 0 && code <= 16

/** True for a code that an error can have on every wire. 1xx ends no HTTP exchange, and a peer takes 2xx for success. */
export const isErrorCode = (code: number): boolean => Number.isInteger(code) && code >= 300 && code <= 599

/** The HTTP status of a gRPC code; a number that gRPC does not define is 500. */
export const httpFromGrpc = (code: number, dialect: Dialect = "v3"): number =>
  dialect === "v2" && code === Grpc.FAILED_PRECONDITION ? 400 : (toHttp[code] ?? 500)

/** The gRPC code of an HTTP status; one outside the table is UNKNOWN. */
export const grpcFromHttp = (code: number, dialect: Dialect = "v3"): GrpcCode =>
  dialect === "v2" && code === 412 ? Grpc.UNKNOWN : (toGrpc.get(code) ?? Grpc.UNKNOWN)

/** The gRPC code with which a failed call leaves: its own where it came from gRPC, else by the table. Never OK, which would hide the failure. */
export const grpcCode = (status: Status, dialect: Dialect = "v3"): GrpcCode => {
  const code = status.grpc ?? grpcFromHttp(status.code, dialect)
  return code === Grpc.OK ? Grpc.UNKNOWN : code
}
