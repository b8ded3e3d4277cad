/**
 * Tools behind Effect's MCP server, as a function from a web request to its response. A call of a tool runs as any other call does: aspects,
 * deadline, typed errors. An error of the call is the tool's result, for the model to read, not a failure of the protocol.
 */
import type { Registry } from "@bufbuild/protobuf"
import { toJson } from "@bufbuild/protobuf"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type { AppInfo } from "@effect-kratos/core/Lifecycle"
import * as McpProtocol from "effect/ai/McpProtocol"
import { CallToolResult, TextContent, Tool as McpTool } from "effect/ai/McpSchema"
import * as McpServer from "effect/ai/McpServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Json from "../codec/Json.ts"
import * as HeaderFields from "../HeaderFields.ts"
import { complete, type Reply } from "../Implementation.ts"
import { Incoming, type Operation } from "../Operation.ts"
import type { Origin } from "../Origin.ts"
import * as Timeout from "../rest/Timeout.ts"
import type { Tool } from "./Tools.ts"
import { operationOf } from "../Method.ts"

export interface Options {
  readonly app: AppInfo
  readonly path: `/${string}`
  readonly tools: ReadonlyArray<Tool>
  readonly operation: (tool: Tool) => Operation | undefined
  /** What `google.protobuf.Any` may hold. */
  readonly registry: Registry
  /** Where a request came in. */
  readonly sourceOf: (request: unknown) => Source | undefined
  readonly now: () => number
  readonly report: (message: string, cause: unknown) => void
  readonly instructions?: string | undefined
  readonly allowedOrigins?: ReadonlyArray<string> | undefined
}

/** What a call knows of the HTTP request that carried it. */
export interface Source {
  readonly origin: Origin
  readonly fields: ReadonlyArray<string>
  readonly header: (name: string) => string | undefined
}

/** Those with sessions for the clients of today, and the one without for those to come; the first is preferred. */
const protocols = [McpProtocol.v2026_07_28, McpProtocol.v2025_11_25, McpProtocol.v2025_06_18, McpProtocol.v2025_03_26] as const

export const make = (options: Options): Effect.Effect<(request: Request) => Promise<Response>, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const { allowedOrigins, app, instructions, path } = options
    const layer = McpServer.layerHttp({
      name: app.name,
      version: app.version === "" ? "0.0.0" : app.version,
      path,
      protocols,
      instructions,
      allowedOrigins,
      allowSessionTermination: true,
      // the tools of a server stay the same
      allowSubscriptions: false,
      registrations: register(options)
    })
    const http = yield* HttpRouter.toHttpEffect(layer)
    // what remains to be provided is the request, which the handler brings
    return HttpEffect.toWebHandlerWith(Context.empty())(http as Effect.Effect<never>)
  })

const register = (options: Options): Layer.Layer<never, never, McpServer.McpServer> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const server = yield* McpServer.McpServer
      for (const tool of options.tools) {
        const operation = options.operation(tool)
        if (operation === undefined) continue
        yield* server.addTool({
          tool: new McpTool({
            name: tool.name,
            description: tool.description,
            inputSchema: tool.inputSchema,
            ...(tool.outputSchema === undefined ? {} : { outputSchema: tool.outputSchema }),
            annotations: {
              readOnlyHint: tool.isReadOnly,
              destructiveHint: tool.isDestructive,
              idempotentHint: tool.isIdempotent,
              openWorldHint: true
            }
          }),
          annotations: Context.empty(),
          handle: (input) => call(tool, operation, input, options)
        })
      }
    })
  )

const codec = Json.make({ ignoreUnknown: false })

/** Runs the method; interrupting it cancels the call. */
const call = (tool: Tool, operation: Operation, input: unknown, options: Options): Effect.Effect<CallToolResult> =>
  Effect.withFiber((fiber) => {
    const request = Context.getOrUndefined(fiber.context, HttpServerRequest.HttpServerRequest)
    const source = options.sourceOf(request?.source)
    const timeout = Timeout.parse(source?.header(Timeout.grpcTimeout), source?.header(Timeout.timeoutMs))
    const left = Result.isSuccess(timeout) ? timeout.success : undefined
    const incoming = new Incoming("mcp", operation, source?.origin ?? nowhere, left === undefined ? undefined : options.now() + left, () =>
      HeaderFields.toMetadata(source?.fields ?? [])
    )
    // as text once more, so that what limits the JSON of other calls limits this
    const message = codec.decode(tool.method.input, Buffer.from(JSON.stringify(input ?? {})))
    if (Result.isFailure(timeout)) incoming.failure = timeout.failure
    else if (Result.isFailure(message)) incoming.failure = message.failure
    else incoming.message = message.success
    return Effect.callback<CallToolResult>((resume) => {
      const cancel = operation.run(incoming, (exit) => resume(Effect.sync(() => resultOf(tool, exit, options))))
      return Effect.sync(() => cancel?.())
    })
  })

const nowhere: Origin = { address: "", endpoint: "", identity: undefined }

const resultOf = (tool: Tool, exit: Exit.Exit<Reply | void, unknown>, options: Options): CallToolResult => {
  if (Exit.isFailure(exit)) return failed(KratosError.fromCause(exit.cause))
  try {
    const { output } = tool.method
    // unary methods end with a reply
    const json = toJson(output, complete(output, exit.value as Reply), { alwaysEmitImplicit: true, registry: options.registry })
    return new CallToolResult({
      content: [TextContent.make({ text: JSON.stringify(json) })],
      ...(tool.outputSchema === undefined ? {} : { structuredContent: json })
    })
  } catch (cause) {
    options.report(`${operationOf(tool.method)}: the reply cannot be encoded`, cause)
    return failed(KratosError.internalServer("", "internal error"))
  }
}

/** As text only: structured content is promised to have the form of a reply. */
const failed = (error: KratosError.KratosError): CallToolResult =>
  new CallToolResult({ isError: true, content: [TextContent.make({ text: JSON.stringify(error) })] })
