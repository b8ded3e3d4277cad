/** A call on its way out, as the client's aspects see it, with what the wire needs of it. Further attempts of it are calls of their own. */
import type { DescMethod, Message } from "@bufbuild/protobuf"
import type { ClientCall, Idempotency, Kind, Method } from "@effect-kratos/core/Call"
import type { Deadline } from "@effect-kratos/core/Deadline"
import * as Metadata from "@effect-kratos/core/Metadata"
import type * as Context from "effect/Context"
import type * as Stream from "effect/Stream"
import * as Inspected from "./Inspected.ts"
import * as MessageQueue from "./MessageQueue.ts"
import { RequestLog } from "./RequestLog.ts"

export class Outgoing implements ClientCall {
  readonly side = "client"
  readonly transport: string
  readonly operation: string
  readonly service: string
  readonly method: string
  readonly kind: Kind
  readonly idempotency: Idempotency | undefined
  /** The node that was picked; empty until then. */
  peer = ""
  readonly endpoint: string
  readonly pathTemplate = undefined
  readonly deadline: Deadline | undefined
  readonly desc: DescMethod
  /** The initialiser of the request message, for the kinds that have one. */
  readonly message: object | undefined
  readonly request: Metadata.MutableMetadata
  readonly attempt: number
  readonly tried: ReadonlyArray<string>
  processed = false
  /** Of the call: what its attempts share. Undefined as long as there is but one. */
  private shared: Shared | undefined
  private streamed: Stream.Stream<object, unknown> | undefined
  private checks: Array<Inspected.Check> | undefined = undefined
  /** Bytes of a streamed request that this attempt has sent. */
  private sent = 0
  private header: Metadata.MutableMetadata | undefined = undefined
  private trailer: Metadata.MutableMetadata | undefined = undefined
  private queue: MessageQueue.MessageQueue<Message, unknown> | undefined = undefined

  constructor(
    transport: string,
    method: Method,
    target: string,
    deadline: Deadline | undefined,
    message: object | undefined,
    requests: Stream.Stream<object, unknown> | undefined,
    desc: DescMethod,
    /** For attempts behind the first. */
    again?: Again
  ) {
    this.desc = desc
    this.transport = transport
    this.operation = method.operation
    this.service = method.service
    this.method = method.method
    this.kind = method.kind
    this.idempotency = method.idempotency
    this.endpoint = target
    this.deadline = deadline
    this.message = message
    this.streamed = requests
    this.request = again === undefined ? Metadata.make() : again.request
    this.attempt = again === undefined ? 0 : again.attempt
    this.tried = again === undefined ? NONE : again.tried
    this.shared = again === undefined ? undefined : again.shared
  }

  get reply(): Metadata.MutableMetadata {
    return (this.header ??= Metadata.make())
  }
  set reply(metadata: Metadata.MutableMetadata) {
    this.header = metadata
  }
  get trailers(): Metadata.MutableMetadata {
    return (this.trailer ??= Metadata.make())
  }
  set trailers(metadata: Metadata.MutableMetadata) {
    this.trailer = metadata
  }
  inspect(check: Inspected.Check): void {
    if (this.streamed === undefined) return
    // what is looked at from around all attempts is looked at once
    if (this.shared?.log === undefined) this.streamed = Inspected.stream(this.streamed, check)
    else (this.checks ??= []).push(check)
  }
  /** Where the reply's messages go, for the kinds that stream them; made when it is first asked for, because it costs as much as a whole unary call. */
  get replies(): MessageQueue.MessageQueue<Message, unknown> {
    return (this.queue ??= new MessageQueue.MessageQueue())
  }
  /** The initialisers of the request messages, for the kinds that stream them: from the first on, whatever other attempts have read. */
  get requests(): Stream.Stream<object, unknown> | undefined {
    const log = this.shared?.log
    if (log === undefined) return this.streamed
    const all = log.reader()
    return this.checks === undefined ? all : this.checks.reduce(Inspected.stream, all)
  }
  get committed(): boolean {
    return this.shared !== undefined && (this.shared.winner !== undefined || this.shared.log?.failed === true)
  }

  /** The wire begins. An aspect that runs a call again without making an attempt of it sees nothing of the reply before. */
  begin(): void {
    if (!this.processed) return
    this.processed = false
    this.peer = ""
    this.header = this.trailer = undefined
  }

  /** So many bytes of a streamed request have been sent. */
  wrote(bytes: number): void {
    const log = this.shared?.log
    if (log === undefined) return
    this.sent += bytes
    if (this.sent > log.maxBytes) this.commit()
  }

  /** Before a message of a reply stream is delivered, if not before; false when another attempt has been before this one, and nothing more of it is wanted. */
  commit(): boolean {
    const { shared } = this
    if (shared === undefined) return true
    if (shared.winner !== undefined) return shared.winner === this
    shared.winner = this
    shared.log?.commit()
    shared.call.adopt(this)
    shared.listener?.(this)
    return true
  }

  keep(maxBytes: number, services: Context.Context<never>): void {
    if (this.kind === "unary") return
    this.shared ??= new Shared(this)
    if (this.streamed !== undefined) this.shared.log ??= new RequestLog(this.streamed, maxBytes, services)
  }

  again(attempt: number, request: Metadata.MutableMetadata): Outgoing {
    const shared = (this.shared ??= new Shared(this))
    const tried: Array<string> = []
    for (const { peer } of shared.attempts) if (peer !== "" && !tried.includes(peer)) tried.push(peer)
    const { deadline, endpoint, message, transport } = this
    const made = new Outgoing(transport, this, endpoint, deadline, message, this.streamed, this.desc, { attempt, request, shared, tried })
    shared.attempts.push(made)
    return made
  }

  adopt(attempt: ClientCall): void {
    if (attempt === this) return
    this.peer = attempt.peer
    this.reply = attempt.reply
    this.trailers = attempt.trailers
    this.processed = attempt.processed
    // the attempts of a call are made by `again`
    if (this.isStreamed && this.shared?.winner === attempt) this.replies.follow((attempt as Outgoing).replies)
  }

  onCommit(listener: (attempt: ClientCall) => void): void {
    ;(this.shared ??= new Shared(this)).listener = listener
  }

  release(): void {
    this.shared?.log?.stop()
  }

  private get isStreamed(): boolean {
    return this.kind === "server_streaming" || this.kind === "bidi_streaming"
  }
}

const NONE: ReadonlyArray<string> = []

interface Again {
  readonly attempt: number
  readonly request: Metadata.MutableMetadata
  readonly shared: Shared
  readonly tried: ReadonlyArray<string>
}

/** What the attempts of a call share. */
class Shared {
  readonly call: Outgoing
  readonly attempts: Array<Outgoing>
  /** The one that has committed. */
  winner: Outgoing | undefined = undefined
  log: RequestLog | undefined = undefined
  listener: ((attempt: ClientCall) => void) | undefined = undefined

  constructor(call: Outgoing) {
    this.call = call
    this.attempts = [call]
  }
}
