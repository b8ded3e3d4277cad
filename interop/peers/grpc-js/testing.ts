/** `grpc.testing.TestService` for grpc-js, loaded from the proto files. */
import type * as grpc from "@grpc/grpc-js"
import * as protoLoader from "@grpc/proto-loader"
import { fileURLToPath } from "node:url"

export interface Payload {
  readonly body: Uint8Array
}

export interface Flag {
  readonly value: boolean
}

export interface SimpleRequest {
  readonly response_size?: number
  readonly payload?: Payload
  readonly response_status?: { readonly code: number; readonly message: string } | null
  readonly expect_compressed?: Flag
  readonly fill_server_id?: boolean
}

export interface OutputRequest {
  readonly response_parameters?: ReadonlyArray<{ readonly size: number; readonly interval_us?: number }>
  readonly payload?: Payload
  readonly response_status?: { readonly code: number; readonly message: string } | null
}

export interface InputRequest {
  readonly payload?: Payload
  readonly expect_compressed?: Flag
}

export interface SimpleReply {
  readonly payload: Payload | null
  readonly server_id: string
}

export interface OutputReply {
  readonly payload: Payload | null
}

export interface InputReply {
  readonly aggregated_payload_size: number
}

const proto = fileURLToPath(new URL("../../proto", import.meta.url))

const definition = protoLoader.loadSync("grpc/testing/test.proto", { includeDirs: [proto], keepCase: true, defaults: true })

const service = (name: string): grpc.ServiceDefinition => definition[name] as grpc.ServiceDefinition // the map holds messages and enums too

export const TestService = service("grpc.testing.TestService")
export const UnimplementedService = service("grpc.testing.UnimplementedService")

export const INITIAL = "x-grpc-test-echo-initial"
export const TRAILING = "x-grpc-test-echo-trailing-bin"
