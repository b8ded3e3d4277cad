/**
 * The generator as a function from request to response. It writes `x_effect.ts` beside the `x_pb.ts` of protoc-gen-es, for each proto file
 * with services or error enums, and takes the same standard options; the only target is `ts`.
 */
import { create } from "@bufbuild/protobuf"
import { CodeGeneratorResponseSchema } from "@bufbuild/protobuf/wkt"
import type { CodeGeneratorRequest, CodeGeneratorResponse } from "@bufbuild/protobuf/wkt"
import { createEcmaScriptPlugin } from "@bufbuild/protoplugin"
import type { Schema } from "@bufbuild/protoplugin"
import * as Diagnostics from "./Diagnostics.ts"
import * as Emit from "./Emit.ts"
import * as HttpRules from "./HttpRules.ts"
import * as Reasons from "./Reasons.ts"

export const name = "protoc-gen-effect"

export interface Result {
  /** Has `error` set, and no files, when the contract is wrong. */
  readonly response: CodeGeneratorResponse
  readonly warnings: ReadonlyArray<string>
}

/** Generates code. Throws only for options that nobody knows, and for requests that are no requests, as the plugin library does. */
export const generate = (request: CodeGeneratorRequest): Result => {
  let diagnostics = Diagnostics.make([])
  let refusal: string | undefined
  const plugin = createEcmaScriptPlugin({
    name,
    // shown nowhere: generated files do not change with our version
    version: "",
    generateTs: (schema) => {
      refusal = unsupported(schema)
      if (refusal !== undefined) return
      diagnostics = Diagnostics.make(schema.files)
      generateAll(schema, diagnostics)
    }
  })
  const parameter = /(^|,)target=/.test(request.parameter)
    ? request.parameter
    : ["target=ts", request.parameter].filter((part) => part !== "").join(",")
  const response = plugin.run({ ...request, parameter })
  const errors = refusal === undefined ? diagnostics.errors : [refusal]
  if (errors.length === 0) return { response, warnings: diagnostics.warnings }
  const { maximumEdition, minimumEdition, supportedFeatures } = response
  const failed = create(CodeGeneratorResponseSchema, { error: errors.join("\n"), maximumEdition, minimumEdition, supportedFeatures })
  return { response: failed, warnings: diagnostics.warnings }
}

const generateAll = (schema: Schema, diagnostics: Diagnostics.Diagnostics): void => {
  const reasons = Reasons.collect(schema.allFiles, diagnostics)
  for (const file of schema.files) {
    for (const service of file.services) service.methods.forEach((method) => HttpRules.check(method, diagnostics))
    Emit.emit({ schema, reasons, diagnostics }, file)
  }
}

const unsupported = (schema: Schema): string | undefined => {
  if (schema.targets.some((target) => target !== "ts"))
    return "the only target is ts: write opt: target=ts, and let your compiler make JavaScript of it"
  if (schema.options.rewriteImports.length > 0) return "rewrite_imports is not supported; map_imports is"
  return undefined
}
