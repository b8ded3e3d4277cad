/**
 * Reads of sockets into one buffer. Node gives each read 64 KiB of fresh memory, most of which it takes back at once; with small messages that is a fifth of what
 * a read costs, and with large ones the garbage collector is called for it again and again. Node reads into a buffer that is used again where a socket is made
 * with `onread` (documented for `net.Socket`); sockets that a server accepts are made by Node itself, so what that option sets is set here afterwards. Where a
 * Node has it elsewhere, sockets read as they always do.
 */
import { Socket } from "node:net"

/** Bytes of a read, as many as Node asks for. */
const SIZE = 65_536

type OnRead = (bytes: number, buffer: Uint8Array) => boolean

/** What a socket made with `onread` has. */
interface Members {
  readonly buffer: symbol
  readonly callback: symbol
  readonly generator: symbol
}

let shared: Uint8Array | undefined
let found: Members | false | undefined

/**
 * Lets `socket` emit "data" with views that are valid only until its listeners return. For sockets whose only reader copies what it keeps. A socket that is
 * paused stops reading at once. False where this Node does not offer it, or where bytes that were read before wait to be emitted.
 */
export const enable = (socket: Socket): boolean => {
  const members = (found ??= find())
  const handle = handleOf(socket)
  if (members === false || handle === undefined || socket.readableLength > 0) return false
  const buffer = (shared ??= new Uint8Array(SIZE))
  const onRead: OnRead = (bytes, { buffer }) => {
    socket.emit("data", Buffer.from(buffer, 0, bytes))
    return true
  }
  Object.assign(socket, { [members.buffer]: buffer, [members.callback]: onRead, [members.generator]: null })
  handle.useUserBuffer(buffer)
  return true
}

/**
 * Makes `socket`, which reads into the buffer, a stream like any other again, for a reader that knows nothing of this one. The handle goes on to read into
 * the buffer, from which it cannot be taken away; each read is copied and pushed. Node treats a socket that has a buffer of its own in other ways when it is
 * paused, resumed or read from, so that it has one only while a read is handed over.
 */
export const disable = (socket: Socket): void => {
  const handle = handleOf(socket)
  if (found === undefined || found === false || handle === undefined) return
  const members = found
  const set = (buffer: Uint8Array | null): void => void Object.assign(socket, { [members.buffer]: buffer })
  const push: OnRead = (bytes, { buffer }) => {
    set(null)
    // a copy, which `from` makes of what is no ArrayBuffer
    return socket.push(Buffer.from(new Uint8Array(buffer, 0, bytes)))
  }
  Object.assign(socket, { [members.buffer]: null, [members.callback]: push })
  const { onread } = handle
  handle.onread = function (this: Handle, ...args) {
    set(shared ?? null)
    try {
      return onread.apply(this, args)
    } finally {
      set(null)
    }
  }
}

interface Handle {
  readonly useUserBuffer: (buffer: Uint8Array) => void
  /** Node's own, for what the handle has read and for its end. */
  onread: (this: Handle, ...args: Array<unknown>) => unknown
}

const handleOf = (socket: Socket): Handle | undefined => {
  const handle = (socket as { readonly _handle?: Partial<Handle> | null })._handle
  // checked just now
  return typeof handle?.useUserBuffer === "function" && typeof handle.onread === "function" ? (handle as Handle) : undefined
}

const find = (): Members | false => {
  const sample = new Socket({ onread: { buffer: new Uint8Array(1), callback: () => true } })
  const symbols = Object.getOwnPropertySymbols(sample)
  sample.destroy()
  const named = (name: string) => symbols.find(({ description }) => description === name)
  const [buffer, callback, generator] = [named("kBuffer"), named("kBufferCb"), named("kBufferGen")]
  return buffer === undefined || callback === undefined || generator === undefined ? false : { buffer, callback, generator }
}
