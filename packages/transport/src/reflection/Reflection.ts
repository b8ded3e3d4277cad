/**
 * Server reflection (`grpc.reflection.v1` and `v1alpha`): callers such as grpcurl and buf curl learn the contract from the server itself.
 *
 * A file is answered with all that it imports and that this stream has not been sent yet, so that one question is enough. What is not there is an
 * answer with `NOT_FOUND`, not the end of the stream.
 */
import type { DescFile, DescService, MessageInitShape } from "@bufbuild/protobuf"
import type * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import {
  ServerReflection as V1,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema
} from "../gen/grpc/reflection/v1/reflection_pb.ts"
import { ServerReflection as V1Alpha } from "../gen/grpc/reflection/v1alpha/reflection_pb.ts"
import * as Implementation from "../Implementation.ts"
import * as FileIndex from "./FileIndex.ts"

/** The services under which reflection is asked, the current one and the one that older tools know. */
export const services: ReadonlyArray<DescService> = [V1, V1Alpha]

type Response = MessageInitShape<typeof ServerReflectionResponseSchema>
type Answer = NonNullable<Response["messageResponse"]>

const NOT_FOUND = 5
const INVALID_ARGUMENT = 3
/** Longest name of a caller's that an error repeats. */
const maxName = 256

/**
 * One implementation per service of reflection, for a server of `served`; the index is made when somebody first asks. Streams end when `closing`
 * completes: tools keep theirs open for as long as they run, which must not hold up the drain.
 */
export const make = (
  served: ReadonlyArray<DescService>,
  closing: Effect.Effect<void>
): ReadonlyArray<readonly [DescService, Implementation.Implementation]> => {
  let index: FileIndex.FileIndex | undefined
  const serverReflectionInfo = (requests: Stream.Stream<ServerReflectionRequest, unknown>) =>
    Stream.suspend(() => {
      const answer = conversation((index ??= FileIndex.make(served)))
      return Stream.map(requests, (request): Response => ({
        validHost: request.host,
        originalRequest: request,
        messageResponse: answer(request)
      }))
    }).pipe(Stream.interruptWhen(closing))
  // the two contracts differ in their package only, so the fields of one fit the other; a message of one is no message of the other
  const alpha = (requests: Stream.Stream<ServerReflectionRequest, unknown>) =>
    Stream.map(serverReflectionInfo(requests), ({ originalRequest, ...response }) => ({
      ...response,
      originalRequest: { host: originalRequest?.host, messageRequest: plain(originalRequest?.messageRequest) }
    }))
  return [
    [V1, Implementation.of(V1, { serverReflectionInfo })],
    [V1Alpha, Implementation.of(V1Alpha, { serverReflectionInfo: alpha })]
  ]
}

/** A question without the type of its contract. */
const plain = (request: NonNullable<Response["originalRequest"]>["messageRequest"]): unknown =>
  request?.case === "fileContainingExtension"
    ? {
        case: request.case,
        value: { containingType: request.value.containingType, extensionNumber: request.value.extensionNumber }
      }
    : request

/** The answers of one stream. */
const conversation = (index: FileIndex.FileIndex): ((request: ServerReflectionRequest) => Answer) => {
  const sent = new Set<DescFile>()
  const files = (file: DescFile | undefined, what: string): Answer => {
    if (file === undefined) return error(NOT_FOUND, what)
    // the file itself is always there: a caller may ask twice
    const wanted = index.withImports(file).filter((one) => one === file || !sent.has(one))
    for (const one of wanted) sent.add(one)
    return {
      case: "fileDescriptorResponse",
      value: { fileDescriptorProto: wanted.toReversed().map((one) => index.bytes(one) as Uint8Array<ArrayBuffer>) }
    }
  }
  return ({ messageRequest }) => {
    switch (messageRequest.case) {
      case "fileByFilename":
        return files(index.byName(messageRequest.value), messageRequest.value)
      case "fileContainingSymbol":
        return files(index.bySymbol(messageRequest.value.replace(/^\./, "")), messageRequest.value)
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = messageRequest.value
        return files(index.byExtension(containingType, extensionNumber), `extension ${extensionNumber} of ${containingType}`)
      }
      case "allExtensionNumbersOfType": {
        const numbers = index.extensionNumbers(messageRequest.value)
        return numbers === undefined
          ? error(NOT_FOUND, messageRequest.value)
          : {
              case: "allExtensionNumbersResponse",
              value: { baseTypeName: messageRequest.value, extensionNumber: [...numbers] }
            }
      }
      case "listServices":
        return { case: "listServicesResponse", value: { service: index.services.map((name) => ({ name })) } }
      case undefined:
        return error(INVALID_ARGUMENT, "the request asks nothing that this server knows")
    }
  }
}

const error = (errorCode: number, what: string): Answer => ({
  case: "errorResponse",
  value: { errorCode, errorMessage: errorCode === NOT_FOUND ? `not found: ${what.slice(0, maxName)}` : what }
})
