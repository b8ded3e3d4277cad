/** `google.api.HttpBody`: a body that is just bytes under a content type of its own. */
import { create, type DescMessage } from "@bufbuild/protobuf"
import { HttpBodySchema, type HttpBody } from "../gen/google/api/httpbody_pb.ts"

/** Whether a message type is sent and received raw. */
export const is = (schema: DescMessage | undefined): boolean => schema?.typeName === HttpBodySchema.typeName

/** The message of a request's body. Its data are the same bytes, not a copy. */
export const make = (body: Uint8Array, contentType: string | undefined): HttpBody =>
  create(HttpBodySchema, { contentType: contentType ?? "", data: body as Uint8Array<ArrayBuffer> })

/** The reply that a message stands for; without a content type that can be a header, its bytes are just that. */
export const reply = (message: HttpBody): { readonly contentType: string; readonly body: Uint8Array } => ({
  contentType: /^[\t\u0020-\u007e]+$/.test(message.contentType) ? message.contentType : "application/octet-stream",
  body: message.data
})
