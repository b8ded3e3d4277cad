import { Headers, REQUEST, RESPONSE, TOO_LARGE, TRAILERS } from "../Headers.ts"
import * as FieldKind from "./FieldKind.ts"

const bit = (kind: number): number => 1 << kind
const METHOD = bit(FieldKind.METHOD)
const PATH = bit(FieldKind.PATH)
const SCHEME = bit(FieldKind.SCHEME)
const AUTHORITY = bit(FieldKind.AUTHORITY)
const STATUS = bit(FieldKind.STATUS)

/**
 * Collects the fields of one block and judges them by RFC 9113 section 8: pseudo fields first, known and at most once, no connection-specific
 * fields, `te` only as "trailers", one value of content-length. A malformed block still gives a `Headers`, with no use in its flags, because a bad
 * block fails its stream and not the connection.
 */
export class HeaderList {
  private method = ""
  private path = ""
  private scheme = ""
  private authority = ""
  private protocol = ""
  private status = 0
  private fields: Array<string> = []
  private contentLength = -1
  private host: string | undefined = undefined
  private cookie = -1
  private pseudo = 0
  private malformed = false
  private size = 0
  private readonly limit: number

  constructor(limit: number) {
    this.limit = limit
  }

  add(kind: number, name: string, value: string): void {
    this.size += name.length + value.length + 32
    if (this.size > this.limit) return
    if (kind === FieldKind.REGULAR) {
      this.fields.push(name, value)
    } else if (kind >= FieldKind.BAD_VALUE) {
      this.malformed = true
    } else if (kind < FieldKind.BAD) {
      this.addPseudo(kind, value)
    } else {
      this.addSpecial(kind, name, value)
    }
  }

  finish(): Headers {
    const flags = this.size > this.limit ? TOO_LARGE : this.malformed ? 0 : this.uses()
    const headers = new Headers(
      this.method,
      this.path,
      this.scheme,
      this.authority,
      this.protocol,
      this.status,
      this.fields,
      this.contentLength,
      flags
    )
    this.method = this.path = this.scheme = this.authority = this.protocol = ""
    this.status = this.pseudo = this.size = 0
    this.contentLength = this.cookie = -1
    this.fields = []
    this.host = undefined
    this.malformed = false
    return headers
  }

  private addPseudo(kind: number, value: string): void {
    if (this.fields.length > 0 || (this.pseudo & bit(kind)) !== 0) this.malformed = true
    this.pseudo |= bit(kind)
    switch (kind) {
      case FieldKind.METHOD:
        this.method = value
        break
      case FieldKind.PATH:
        this.path = value
        break
      case FieldKind.SCHEME:
        this.scheme = value
        break
      case FieldKind.AUTHORITY:
        this.authority = value
        break
      case FieldKind.PROTOCOL:
        this.protocol = value
        break
      default:
        this.status = /^[1-9]\d\d$/.test(value) ? Number(value) : 0
    }
  }

  private addSpecial(kind: number, name: string, value: string): void {
    switch (kind) {
      case FieldKind.BAD:
        this.malformed = true
        return
      case FieldKind.TE:
        if (value !== "trailers") this.malformed = true
        break
      case FieldKind.CONTENT_LENGTH: {
        const length = /^\d{1,15}$/.test(value) ? Number(value) : -1
        if (length < 0 || (this.contentLength >= 0 && this.contentLength !== length)) this.malformed = true
        this.contentLength = length
        break
      }
      case FieldKind.COOKIE:
        if (this.cookie >= 0) {
          this.fields[this.cookie] += `; ${value}`
          return
        }
        this.cookie = this.fields.length + 1
        break
      case FieldKind.HOST:
        if (this.host !== undefined && this.host !== value) this.malformed = true
        this.host = value
    }
    this.fields.push(name, value)
  }

  private uses(): number {
    if (this.pseudo === 0) return TRAILERS
    // 101 has no meaning in HTTP/2, RFC 9113 section 8.6
    if (this.pseudo === STATUS) return this.status === 0 || this.status === 101 ? 0 : RESPONSE
    if (this.method === "CONNECT") return this.pseudo === (METHOD | AUTHORITY) ? REQUEST : 0
    // extended CONNECT is not offered, so `:protocol` is an unknown field
    if ((this.pseudo | AUTHORITY) !== (METHOD | PATH | SCHEME | AUTHORITY) || this.method === "" || this.scheme === "") return 0
    if (!this.path.startsWith("/") && !(this.path === "*" && this.method === "OPTIONS")) return 0
    if (this.host !== undefined && (this.pseudo & AUTHORITY) !== 0 && this.host !== this.authority) {
      if (this.host.toLowerCase() !== this.authority.toLowerCase()) return 0
    }
    return REQUEST
  }
}
