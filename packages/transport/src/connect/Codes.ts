/** The codes of Connect by name, as gRPC numbers them, and their HTTP statuses (connectrpc.com/docs/protocol, "Error Codes"). */
import { Grpc, type GrpcCode } from "@effect-kratos/core/error/Status"

/** Name and HTTP status of a unary error, by gRPC code; OK is none of them. */
const codes: ReadonlyArray<readonly [name: string, http: number]> = [
  ["unknown", 500],
  ["canceled", 499],
  ["unknown", 500],
  ["invalid_argument", 400],
  ["deadline_exceeded", 504],
  ["not_found", 404],
  ["already_exists", 409],
  ["permission_denied", 403],
  ["resource_exhausted", 429],
  ["failed_precondition", 400],
  ["aborted", 409],
  ["out_of_range", 400],
  ["unimplemented", 501],
  ["internal", 500],
  ["unavailable", 503],
  ["data_loss", 500],
  ["unauthenticated", 401]
]

const grpcCodes = new Map(codes.map(([name], code) => [name, code as GrpcCode])) // `unknown` stands twice, and the later one counts

export const name = (code: GrpcCode): string => codes[code]![0]

export const httpStatus = (code: GrpcCode): number => codes[code]![1]

/** Undefined for a name that Connect does not know. */
export const fromName = (name: unknown): GrpcCode | undefined => (typeof name === "string" ? grpcCodes.get(name) : undefined)

/** The code of a reply whose body is no error of Connect's: a proxy's, or none at all. */
export const fromHttpStatus = (status: number): GrpcCode => fallbacks[status] ?? Grpc.UNKNOWN

const fallbacks: Readonly<Record<number, GrpcCode>> = {
  400: Grpc.INTERNAL,
  401: Grpc.UNAUTHENTICATED,
  403: Grpc.PERMISSION_DENIED,
  404: Grpc.UNIMPLEMENTED,
  429: Grpc.UNAVAILABLE,
  502: Grpc.UNAVAILABLE,
  503: Grpc.UNAVAILABLE,
  504: Grpc.UNAVAILABLE
}
