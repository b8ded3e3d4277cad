/**
 * The details of errors as messages: `pack` for whoever fails, `unpack` for whoever is told; and how they stand beside `google.rpc.ErrorInfo`, in which
 * reason and metadata travel. Nothing here needs Node.
 */
import { create, type DescMessage, fromBinary, type MessageInitShape, type MessageShape, toBinary } from "@bufbuild/protobuf"
import * as Deadline from "@effect-kratos/core/Deadline"
import { type Detail, errorInfo } from "@effect-kratos/core/error/Detail"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import { Grpc, type GrpcCode, grpcCode } from "@effect-kratos/core/error/Status"
import { ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.ts"

/** A message as a detail. Throws what protobuf-es throws when `message` is not what its type says. */
export const pack = <D extends DescMessage>(schema: D, message: MessageInitShape<D>): Detail => ({
  type: schema.typeName,
  value: toBinary(schema, create(schema, message))
})

/** The details of an error that are such messages, in order; of anything that is no error with details, none. Those that do not decode are left out. */
export const unpack = <D extends DescMessage>(error: unknown, schema: D): ReadonlyArray<MessageShape<D>> => {
  const details = typeof error === "object" && error !== null && "details" in error ? error.details : undefined
  const found: Array<MessageShape<D>> = []
  if (!Array.isArray(details)) return found
  // the errors of core are the ones that have such a member
  for (const { type, value } of details as ReadonlyArray<Detail>) {
    if (nameOf(type) !== schema.typeName) continue
    try {
      found.push(fromBinary(schema, value))
    } catch {
      continue
    }
  }
  return found
}

const PREFIX = "type.googleapis.com/"

/** The type URL of a detail, as `google.protobuf.Any` has it. */
export const urlOf = (type: string): string => (type.includes("/") ? type : PREFIX + type)

/** What a detail keeps of a type URL. */
export const ofUrl = (url: string): string => (url.startsWith(PREFIX) ? url.slice(PREFIX.length) : url)

/** The full name of the message, whatever stands before it. */
const nameOf = (type: string): string => type.slice(type.lastIndexOf("/") + 1)

/** All details that leave with an error: reason and metadata first, unless a detail stands for them. */
export const toWire = (error: KratosError): ReadonlyArray<Detail> => {
  const { details = NOTHING, metadata, reason } = error
  if ((reason === "" || isImplied(reason, grpcCode(error))) && isEmpty(metadata)) return details
  if (details.some(({ type }) => nameOf(type) === errorInfo)) return details
  return [{ type: errorInfo, value: toBinary(ErrorInfoSchema, create(ErrorInfoSchema, { reason, metadata })) }, ...details]
}

const NOTHING: ReadonlyArray<Detail> = []

/** A reason that says no more than the code, of which no peer knows it as a detail: that of every deadline that has passed. */
const isImplied = (reason: string, code: GrpcCode): boolean => code === Grpc.DEADLINE_EXCEEDED && reason === Deadline.reason

/** What the details of an error on the wire say. */
export interface Received {
  readonly reason: string
  readonly metadata: Record<string, string> | undefined
  /** Those from which reason and metadata do not lead back to what came. */
  readonly details: ReadonlyArray<Detail> | undefined
}

/** Reads what `toWire` and every other peer writes: `toWire` gives it back as it came. */
export const fromWire = (all: ReadonlyArray<Detail>, code: GrpcCode): Received => {
  const none = code === Grpc.DEADLINE_EXCEEDED ? LATE : NONE
  if (all.length === 0) return none
  let info: MessageShape<typeof ErrorInfoSchema> | undefined
  let infos = 0
  for (const { type, value } of all) {
    if (nameOf(type) !== errorInfo) continue
    infos++
    try {
      info ??= fromBinary(ErrorInfoSchema, value)
    } catch {
      continue
    }
  }
  if (info === undefined) return { ...none, details: all }
  const { metadata, reason } = info
  const derived = infos === 1 && all[0]!.type === errorInfo && isOurs(info, code)
  const details = derived ? all.slice(1) : all
  return { reason, metadata, details: details.length === 0 ? undefined : details }
}

const NONE: Received = { reason: "", metadata: undefined, details: undefined }
const LATE: Received = { ...NONE, reason: Deadline.reason }

/** True when reason and metadata are all that it says, and `toWire` makes it of them. */
const isOurs = ({ $unknown, domain, metadata, reason }: MessageShape<typeof ErrorInfoSchema>, code: GrpcCode): boolean =>
  domain === "" && ($unknown?.length ?? 0) === 0 && (!isEmpty(metadata) || (reason !== "" && !isImplied(reason, code)))

const isEmpty = (record: Readonly<Record<string, string>>): boolean => {
  for (const key in record) if (Object.hasOwn(record, key)) return false
  return true
}
