import { nameOf } from "./ErrorCode.ts"

/**
 * Why a connection ended before its time. `code` is the code of the GOAWAY frame, `remote` says who sent it.
 * Handed to `onClose`; inside the engine it is thrown by parsers and always caught by the connection.
 */
export class ConnectionError extends Error {
  readonly code: number
  readonly remote: boolean

  constructor(code: number, message: string, remote = false) {
    super(`${nameOf(code)}: ${message}`)
    this.name = "ConnectionError"
    this.code = code
    this.remote = remote
  }
}
