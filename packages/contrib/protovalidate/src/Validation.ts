/**
 * Checks messages against the rules of `buf.validate` that their contract states: 400 `VALIDATOR` with every field at fault as
 * `google.rpc.BadRequest`, on servers and clients, message by message for streams. The rules of a method are compiled when its first call
 * comes; messages that have no rules cost a look-up.
 */
import { create, type DescMessage, hasOption, type Message, type Registry } from "@bufbuild/protobuf"
import { pathToString } from "@bufbuild/protobuf/reflect"
import { createValidator, type Validator, type Violation } from "@bufbuild/protovalidate"
import type { Aspect } from "@effect-kratos/core/Aspect"
import * as Validation from "@effect-kratos/core/aspect/Validation"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import { field as fieldRules, message as messageRules, oneof as oneofRules } from "@effect-kratos/transport/gen/buf/validate/validate_pb.js"
import * as MethodDesc from "@effect-kratos/transport/MethodDesc"

export interface Options extends Validation.Options {
  /** Where custom rules of one's own are found. Default: none. */
  readonly registry?: Registry | undefined
  /** Stops at the first field that is wrong. Default false. */
  readonly failFast?: boolean | undefined
}

/** For servers and clients alike. A rule that cannot be compiled or evaluated is a defect of the call: the contract is wrong, not the caller. */
export const make = (options: Options = {}): Aspect<KratosError> => {
  const { failFast = false, maxViolations, registry } = options
  const validator = createValidator({ failFast, ...(registry === undefined ? undefined : { registry }) })
  const made = new WeakMap<DescMessage, { readonly check: Validation.Check | undefined }>()
  const checkOf = (schema: DescMessage): Validation.Check | undefined => {
    let found = made.get(schema)
    if (found === undefined) made.set(schema, (found = { check: hasRules(schema, new Set()) ? check(validator, schema) : undefined }))
    return found.check
  }
  return Validation.make(
    (call) => {
      const desc = MethodDesc.of(call)
      return desc === undefined ? undefined : checkOf(desc.input)
    },
    { maxViolations }
  )
}

/** All rules of all methods. */
export const server: Aspect<KratosError> = make()

/** The same: what a server would refuse is not sent. */
export const client: Aspect<KratosError> = server

const check =
  (validator: Validator, schema: DescMessage): Validation.Check =>
  (value) => {
    const message = complete(schema, value)
    // what is no message at all fails when it is encoded
    if (message === undefined) return undefined
    const result = validator.validate(schema, message)
    if (result.kind === "error") throw result.error
    return result.kind === "valid" ? undefined : result.violations.map(violation)
  }

/** A message as it is; on a client it is still an initialiser. */
const complete = (schema: DescMessage, value: unknown): Message | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  if ("$typeName" in value && value.$typeName === schema.typeName) return value as Message // made by protobuf-es
  try {
    return create(schema, value as Record<string, unknown>)
  } catch {
    return undefined
  }
}

const violation = ({ field, forKey, message, ruleId }: Violation): Validation.FieldViolation => ({
  field: pathToString(field) + (forKey ? " (key)" : ""),
  description: message === "" ? ruleId : message,
  reason: ruleId
})

/** True when a rule can apply to a message or to one inside it. */
const hasRules = (schema: DescMessage, seen: Set<DescMessage>): boolean => {
  if (seen.has(schema)) return false
  seen.add(schema)
  if (hasOption(schema, messageRules)) return true
  for (const oneof of schema.oneofs) if (hasOption(oneof, oneofRules)) return true
  for (const field of schema.fields) {
    if (hasOption(field, fieldRules)) return true
    const inner = field.fieldKind === "map" ? (field.mapKind === "message" ? field.message : undefined) : field.message
    if (inner !== undefined && hasRules(inner, seen)) return true
  }
  return false
}
