import { nameOf } from "./ErrorCode.ts"

/**
 * Why a connection ended before its time. `code` is the code of the GOAWAY frame, `remote` says who sent it.
 * Handed to `onClose`; inside the engine it is thrown by parsers and always caught by the connection.
 */
export class ConnectionError extends Error {
  readonly code: number
  readonly remote: boolean
  /** The debug data of the frame, such as `too_many_pings`. */
  readonly debug: string

  constructor(code: number, debug: string, remote = false) {
    super(`${nameOf(code)}: ${debug}`)
    this.name = "ConnectionError"
    this.code = code
    this.remote = remote
    this.debug = debug
  }
}
