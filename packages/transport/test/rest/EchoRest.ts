/** `test.v1.Echo` with an HTTP rule on every method: the same key, the same messages, so that all that is written for it fits. */
import { clone, create, createFileRegistry, setExtension, type DescFile } from "@bufbuild/protobuf"
import { FileDescriptorProtoSchema, MethodOptionsSchema } from "@bufbuild/protobuf/wkt"
import { http } from "../../src/gen/google/api/annotations_pb.ts"
import { HttpRuleSchema } from "../../src/gen/google/api/http_pb.ts"
import * as Service from "../../src/Service.ts"
import { Echo } from "../gen/test/v1/echo_effect.ts"
import { Echo as EchoDesc } from "../gen/test/v1/echo_pb.ts"
import type { Wire } from "../Harness.ts"

const rules: Readonly<Record<string, { readonly post: string } | { readonly get: string }>> = {
  Unary: { post: "/echo/unary" },
  ServerStream: { post: "/echo/server-stream" },
  ClientStream: { post: "/echo/client-stream" },
  Bidi: { get: "/echo/bidi" },
  Old: { post: "/echo/old" }
}

const descriptor = (): typeof EchoDesc => {
  const proto = clone(FileDescriptorProtoSchema, EchoDesc.file.proto)
  for (const method of proto.service[0]!.method) {
    const rule = rules[method.name]!
    method.options = create(MethodOptionsSchema)
    const pattern = "post" in rule ? { case: "post" as const, value: rule.post } : { case: "get" as const, value: rule.get }
    setExtension(method.options, http, create(HttpRuleSchema, { pattern, body: "post" in rule ? "*" : "" }))
  }
  const dependencies = new Map<string, DescFile>(EchoDesc.file.dependencies.map((file) => [file.proto.name, file]))
  const registry = createFileRegistry(proto, (name) => dependencies.get(name))
  // the same contract but for the rules
  return registry.getService(EchoDesc.typeName) as typeof EchoDesc
}

/** Stands for `Echo` wherever that is asked for. */
export const EchoRest = Service.make<Echo>()(descriptor(), { errors: Echo.errors }) as unknown as typeof Echo

/** Calls over REST. */
export const rest = (wire: Wire, dialect: "v3" | "v2" | "binary"): Wire => ({
  ...wire,
  name: `REST (${dialect}) on ${wire.name}`,
  service: EchoRest,
  client: { protocol: "rest", dialect }
})
