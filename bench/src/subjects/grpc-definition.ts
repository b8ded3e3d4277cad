/** Definitions for grpc-js as its guide shows it: the proto loaded at start by proto-loader. */
import type * as grpc from "@grpc/grpc-js"
import { loadSync } from "@grpc/proto-loader"
import { fileURLToPath } from "node:url"

/** The definition of a service of `proto/`, by file and full name. */
export const load = (file: string, service: string): grpc.ServiceDefinition => {
  const definition = loadSync(fileURLToPath(new URL(`../../proto/${file}`, import.meta.url)), {
    keepCase: true,
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true
  })
  return definition[service] as grpc.ServiceDefinition // the loader's map holds messages too
}
