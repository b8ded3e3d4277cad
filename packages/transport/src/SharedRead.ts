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
 * Lets `socket` emit "data" with views that are valid only until its listeners return. For sockets whose only reader copies what it keeps, is attached for
 * good, and never pauses them. False where this Node does not offer it.
 */
export const enable = (socket: Socket): boolean => {
  const members = (found ??= find())
  const handle = handleOf(socket)
  if (members === false || handle === undefined) return false
  const buffer = (shared ??= new Uint8Array(SIZE))
  const onRead: OnRead = (bytes, { buffer }) => {
    socket.emit("data", Buffer.from(buffer, 0, bytes))
    return true
  }
  Object.assign(socket, { [members.buffer]: buffer, [members.callback]: onRead, [members.generator]: null })
  handle.useUserBuffer(buffer)
  return true
}

interface Handle {
  readonly useUserBuffer: (buffer: Uint8Array) => void
}

const handleOf = (socket: Socket): Handle | undefined => {
  const handle = (socket as { readonly _handle?: Partial<Handle> | null })._handle
  return typeof handle?.useUserBuffer === "function" ? (handle as Handle) : undefined // checked just now
}

const find = (): Members | false => {
  const sample = new Socket({ onread: { buffer: new Uint8Array(1), callback: () => true } })
  const symbols = Object.getOwnPropertySymbols(sample)
  sample.destroy()
  const named = (name: string) => symbols.find(({ description }) => description === name)
  const [buffer, callback, generator] = [named("kBuffer"), named("kBufferCb"), named("kBufferGen")]
  return buffer === undefined || callback === undefined || generator === undefined ? false : { buffer, callback, generator }
}
