/** The records of ZooKeeper's protocol (zookeeper.jute of version 3.4, which later servers speak, too) that a registry needs. */
import * as crypto from "node:crypto"
import { JuteError, type Reader, Writer } from "./Jute.ts"

/** The kinds of requests. */
export const Op = {
  create: 1,
  remove: 2,
  exists: 3,
  getData: 4,
  ping: 11,
  getChildren: 8,
  check: 13,
  multi: 14,
  auth: 100,
  closeSession: -11
} as const

/** Numbers of exchanges that are not answers to requests. */
export const Xid = { event: -1, ping: -2, auth: -4 } as const

/** Error codes of the server; see `KeeperException.Code`. */
export const Code = {
  ok: 0,
  runtimeInconsistency: -2,
  connectionLoss: -4,
  unimplemented: -6,
  badArguments: -8,
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  noChildrenForEphemerals: -108,
  nodeExists: -110,
  notEmpty: -111,
  sessionExpired: -112,
  invalidAcl: -114,
  authFailed: -115,
  sessionMoved: -118
} as const

export interface Stat {
  /** The transaction that created the node: another one when it was created anew. */
  readonly czxid: bigint
  /** Counts changes of the data. */
  readonly version: number
  /** The session with which the node goes; 0n of one that stays. */
  readonly ephemeralOwner: bigint
}

export interface Acl {
  readonly scheme: string
  readonly id: string
}

/** All may be done by everybody. */
export const anyone: Acl = { scheme: "world", id: "anyone" }
/** All may be done by those who know the password; the node keeps a digest of it. */
export const digest = (username: string, password: string): Acl => ({
  scheme: "digest",
  id: `${username}:${crypto.createHash("sha1").update(`${username}:${password}`, "utf8").digest("base64")}`
})

const allPermissions = 31
const writeCreate = (to: Writer, path: string, data: Uint8Array, acl: Acl, ephemeral: boolean): Writer =>
  to
    .text(path)
    .octets(data)
    .int(1)
    .int(allPermissions)
    .text(acl.scheme)
    .text(acl.id)
    .int(ephemeral ? 1 : 0)

export const connectRequest = (session: Session, lastZxid: bigint, timeout: number): Buffer =>
  new Writer().int(0).long(lastZxid).int(timeout).long(session.id).octets(session.password).bool(false).frame()

export interface Session {
  readonly id: bigint
  readonly password: Uint8Array
}

/** Asks for a new one. */
export const noSession: Session = { id: 0n, password: new Uint8Array(16) }

export interface Connected extends Session {
  /** As the server has settled it, in milliseconds; 0 when it does not know the session any more. */
  readonly timeout: number
}

export const connectResponse = (from: Reader): Connected => {
  from.int()
  return { timeout: from.int(), id: from.long(), password: Buffer.from(from.octets()) }
}

const request = (xid: number, op: number): Writer => new Writer().int(xid).int(op)

export const ping = (): Buffer => request(Xid.ping, Op.ping).frame()
export const auth = (scheme: string, credentials: string): Buffer =>
  request(Xid.auth, Op.auth).int(0).text(scheme).octets(Buffer.from(credentials, "utf8")).frame()
export const closeSession = (xid: number): Buffer => request(xid, Op.closeSession).frame()
export const create = (xid: number, path: string, data: Uint8Array, acl: Acl, ephemeral: boolean): Buffer =>
  writeCreate(request(xid, Op.create), path, data, acl, ephemeral).frame()
export const remove = (xid: number, path: string, version: number): Buffer => request(xid, Op.remove).text(path).int(version).frame()
/** Of `exists`, `getData` and `getChildren`. */
export const read = (xid: number, op: number, path: string, watch: boolean): Buffer => request(xid, op).text(path).bool(watch).frame()
/** Removes a node of that version and creates another in its place, which nobody sees missing in between. */
export const replace = (xid: number, path: string, version: number, data: Uint8Array, acl: Acl, ephemeral: boolean): Buffer => {
  const to = request(xid, Op.multi).int(Op.remove).bool(false).int(-1).text(path).int(version).int(Op.create).bool(false).int(-1)
  return writeCreate(to, path, data, acl, ephemeral).int(-1).bool(true).int(-1).frame()
}

export interface ReplyHeader {
  readonly xid: number
  readonly zxid: bigint
  readonly code: number
}

export const replyHeader = (from: Reader): ReplyHeader => ({ xid: from.int(), zxid: from.long(), code: from.int() })

export const stat = (from: Reader): Stat => {
  const czxid = from.long()
  from.long() // mzxid
  from.long() // ctime
  from.long() // mtime
  const version = from.int()
  from.int() // cversion
  from.int() // aversion
  const ephemeralOwner = from.long()
  from.int() // dataLength
  from.int() // numChildren
  from.long() // pzxid
  return { czxid, version, ephemeralOwner }
}

export interface Entry {
  readonly data: Uint8Array
  readonly stat: Stat
}

// a copy: a frame may hold more than what is kept of it
export const entry = (from: Reader): Entry => ({ data: Buffer.from(from.octets()), stat: stat(from) })

/** The first error of a transaction; the others fail for its sake. */
export const multiCode = (from: Reader): number => {
  let first: number = Code.ok
  for (;;) {
    const type = from.int()
    if (from.bool()) return first
    from.int()
    if (type === -1) {
      const code = from.int()
      if (first === Code.ok && code !== Code.runtimeInconsistency) first = code
    } else if (type === Op.create) from.text()
    else if (type !== Op.remove && type !== Op.check) throw new JuteError(`a result of the type ${type}`)
  }
}

export const EventType = { created: 1, deleted: 2, changed: 3, children: 4 } as const

export interface WatcherEvent {
  readonly type: number
  readonly path: string
}

export const watcherEvent = (from: Reader): WatcherEvent => {
  const type = from.int()
  from.int() // the state of the session, which its connection tells
  return { type, path: from.text() }
}
