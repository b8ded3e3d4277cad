import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Schema from "effect/Schema"

/** A call to etcd failed. `operation` is the method of its API, `cause` what the call failed with. */
export class EtcdError extends Schema.TaggedError<EtcdError>("@effect-kratos/contrib-etcd/EtcdError")("EtcdError", {
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `etcd: ${this.operation}: ${hasMessage(this.cause) ? this.cause.message : "failed"}`
  }
}

/** The token has expired, or etcd was told to forget it. */
export const isTokenRejected = (error: KratosError.KratosError): boolean =>
  error.code === 401 || /invalid auth token|auth: revision in header is old|user name is empty/.test(error.message)

/** An error, or what is left of one that went through JSON. */
const hasMessage = (cause: unknown): cause is { readonly message: string } =>
  typeof cause === "object" && cause !== null && "message" in cause && typeof cause.message === "string"
