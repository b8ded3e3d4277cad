import * as Schema from "effect/Schema"
import { Code } from "./internal/Records.ts"

/**
 * Why. `NoAuth`: the digest that was given, or none, does not fit the node's access list. `AuthFailed`: the server takes no such credentials.
 * `ConnectionLoss`: no server could be reached in time. `Protocol`: what came is not ZooKeeper. `Other`: another code of the server.
 */
export const Reason = Schema.Literals([
  "NoNode",
  "NoAuth",
  "BadVersion",
  "NoChildrenForEphemerals",
  "NodeExists",
  "NotEmpty",
  "SessionExpired",
  "InvalidAcl",
  "AuthFailed",
  "BadArguments",
  "ConnectionLoss",
  "Timeout",
  "Protocol",
  "Other"
])
export type Reason = typeof Reason.Type

/** ZooKeeper could not do what was asked. `operation` is the request and, where there is one, its path; no credentials. */
export class ZookeeperError extends Schema.TaggedError<ZookeeperError>("@effect-kratos/contrib-zookeeper/ZookeeperError")(
  "ZookeeperError",
  {
    operation: Schema.String,
    reason: Reason,
    detail: Schema.String
  }
) {
  override get message(): string {
    return `zookeeper: ${this.operation}: ${this.detail === "" ? this.reason : this.detail}`
  }

  /** The connection is at fault, so that the same may succeed later. */
  get transient(): boolean {
    return this.reason === "ConnectionLoss" || this.reason === "SessionExpired" || this.reason === "Timeout" || this.reason === "Protocol"
  }
}

/** An answer of the server. */
export const ofCode = (operation: string, code: number): ZookeeperError => {
  const reason = REASONS[code]
  return new ZookeeperError({ operation, reason: reason?.[0] ?? "Other", detail: reason?.[1] ?? `error ${code}` })
}

const REASONS: Readonly<Record<number, readonly [Reason, string]>> = {
  [Code.connectionLoss]: ["ConnectionLoss", "the server has lost its quorum"],
  [Code.badArguments]: ["BadArguments", "the server does not take these arguments"],
  [Code.noNode]: ["NoNode", "there is no such node"],
  [Code.noAuth]: ["NoAuth", "not allowed with these credentials"],
  [Code.badVersion]: ["BadVersion", "the node has changed"],
  [Code.noChildrenForEphemerals]: ["NoChildrenForEphemerals", "the node above is ephemeral"],
  [Code.nodeExists]: ["NodeExists", "the node is there already"],
  [Code.notEmpty]: ["NotEmpty", "the node has children"],
  [Code.sessionExpired]: ["SessionExpired", "the session has expired"],
  [Code.invalidAcl]: ["InvalidAcl", "the server does not take this access list"],
  [Code.authFailed]: ["AuthFailed", "the server does not take the credentials"],
  [Code.sessionMoved]: ["ConnectionLoss", "the session has moved to another connection"]
}
