/**
 * Binds the frames of a WebSocket to the messages that a client streams, by the method's HTTP rule. The rule's own verb does not count: a WebSocket
 * opens with GET. A frame is the whole message, or the field that `body` names when that holds one message; query and path of the opening request are
 * then set on each message, so that they win.
 */
import { create, type DescMethod, type Message } from "@bufbuild/protobuf"
import { reflect } from "@bufbuild/protobuf/reflect"
import type * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Result from "effect/Result"
import type { Codec } from "../codec/Codec.ts"
import * as FormReader from "../codec/FormReader.ts"
import type { HttpRule } from "../gen/google/api/http_pb.ts"
import * as Binding from "./Binding.ts"
import type * as PathTemplate from "./PathTemplate.ts"
import type { RestRuleError } from "./RestRuleError.ts"
import * as StreamCodec from "./StreamCodec.ts"

/** What all frames of a connection share. */
export interface Opening {
  /** As the router captured them. */
  readonly variables: ReadonlyArray<string>
  /** Raw, without the question mark; empty when there is none. */
  readonly query: string
  readonly codec: Codec
  readonly contentType: string | undefined
}

/** One route of a method to which the client streams. */
export interface FrameBinding {
  readonly method: DescMethod
  readonly template: PathTemplate.PathTemplate
  readonly bind: (frame: Uint8Array, opening: Opening) => Result.Result<Message, KratosError.KratosError>
}

/** The routes of a method by the rule it carries; none for the kinds to which nothing is streamed. */
export const fromMethod = (method: DescMethod): Result.Result<ReadonlyArray<FrameBinding>, RestRuleError> => {
  const rule = Binding.ruleOf(method)
  if (rule === undefined || method.methodKind === "unary" || method.methodKind === "server_streaming") return Result.succeed([])
  return Result.all([rule, ...rule.additionalBindings].map((rule) => route(method, rule)))
}

const route = (method: DescMethod, rule: HttpRule): Result.Result<FrameBinding, RestRuleError> =>
  Result.map(Binding.plan(method, rule), (plan) => {
    const field = plan.bodyField?.fieldKind === "message" ? plan.bodyField : undefined
    const read = StreamCodec.reader(field?.message ?? method.input)
    const readQuery = FormReader.compile(method.input, plan.elsewhere)
    const bind: FrameBinding["bind"] = (frame, { codec, contentType, query, variables }) => {
      const value = read(frame, codec, contentType)
      if (Result.isFailure(value)) return value
      let message = value.success
      if (field !== undefined) {
        message = create(method.input)
        reflect(method.input, message).set(field, reflect(field.message, value.success))
      }
      return Binding.overlay(message, plan, readQuery, query, variables)
    }
    return { method, template: plan.template, bind }
  })
