/** The contracts of these tests, compiled by buf, and requests to generate code for some of them. */
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { create, fromBinary } from "@bufbuild/protobuf"
import { CodeGeneratorRequestSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt"
import type { CodeGeneratorRequest, FileDescriptorProto } from "@bufbuild/protobuf/wkt"
import * as Plugin from "../src/Plugin.ts"

const root = fileURLToPath(new URL("../../..", import.meta.url))

/** Every file below `test/proto` and all that they import, in the order in which they need each other. */
export const files: ReadonlyArray<FileDescriptorProto> = fromBinary(
  FileDescriptorSetSchema,
  execFileSync("node_modules/.bin/buf", ["build", "packages/protoc-gen/test/proto", "--as-file-descriptor-set", "-o", "-#format=binpb"], {
    cwd: root,
    maxBuffer: 1 << 26,
    // it warns of imports that only our options use
    stdio: ["ignore", "pipe", "pipe"]
  })
).file

export const request = (names: ReadonlyArray<string>, parameter: string): CodeGeneratorRequest =>
  create(CodeGeneratorRequestSchema, { fileToGenerate: [...names], parameter, protoFile: [...files] })

/** What the plugin writes, by path. */
export const generate = (names: ReadonlyArray<string>, parameter = "target=ts,import_extension=ts") => {
  const { response, warnings } = Plugin.generate(request(names, parameter))
  return {
    error: response.error === "" ? undefined : response.error,
    warnings,
    files: new Map(response.file.map((file) => [file.name, file.content]))
  }
}
