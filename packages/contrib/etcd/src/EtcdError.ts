import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Schema from "effect/Schema"

/** A call to etcd failed. `operation` is the method of its API, `cause` what the call failed with. */
export class EtcdError extends Schema.TaggedError<EtcdError>("@effect-kratos/contrib-etcd/EtcdError")("EtcdError", {
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `etcd: ${this.operation}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

/** The token has expired, or etcd was told to forget it. */
export const isTokenRejected = (error: KratosError.KratosError): boolean =>
  error.code === 401 || /invalid auth token|auth: revision in header is old|user name is empty/.test(error.message)
