/** A call on its way out, as the client's aspects see it, with what the wire needs of it. */
import type { DescMethod, Message } from "@bufbuild/protobuf"
import type { CallShape, Kind, Method } from "@effect-kratos/core/Call"
import type { Deadline } from "@effect-kratos/core/Deadline"
import * as Metadata from "@effect-kratos/core/Metadata"
import type * as Stream from "effect/Stream"
import * as Inspected from "./Inspected.ts"
import * as MessageQueue from "./MessageQueue.ts"

export class Outgoing implements CallShape {
  readonly side = "client"
  readonly transport: string
  readonly operation: string
  readonly service: string
  readonly method: string
  readonly kind: Kind
  /** The node that was picked; empty until then. */
  peer = ""
  readonly endpoint: string
  readonly pathTemplate = undefined
  readonly deadline: Deadline | undefined
  readonly desc: DescMethod
  /** The initialiser of the request message, for the kinds that have one. */
  readonly message: object | undefined
  /** The initialisers of the request messages, for the kinds that stream them. */
  requests: Stream.Stream<object, unknown> | undefined
  readonly request: Metadata.MutableMetadata = Metadata.make()
  reply: Metadata.MutableMetadata = Metadata.make()
  trailers: Metadata.MutableMetadata = Metadata.make()
  private queue: MessageQueue.MessageQueue<Message, unknown> | undefined = undefined

  constructor(
    transport: string,
    method: Method,
    target: string,
    deadline: Deadline | undefined,
    message: object | undefined,
    requests: Stream.Stream<object, unknown> | undefined,
    desc: DescMethod
  ) {
    this.desc = desc
    this.transport = transport
    this.operation = method.operation
    this.service = method.service
    this.method = method.method
    this.kind = method.kind
    this.endpoint = target
    this.deadline = deadline
    this.message = message
    this.requests = requests
  }
  inspect(check: Inspected.Check): void {
    if (this.requests !== undefined) this.requests = Inspected.stream(this.requests, check)
  }
  /** Where the reply's messages go, for the kinds that stream them; made when it is first asked for, because it costs as much as a whole unary call. */
  get replies(): MessageQueue.MessageQueue<Message, unknown> {
    return (this.queue ??= new MessageQueue.MessageQueue())
  }
}
