/** Rows of the REST table: a request, and what it must become. */
export interface Request {
  /** Method and target: `GET /v1/wide/a?b=c`. */
  readonly line: string
  readonly type?: string
  readonly body?: string | Uint8Array
}

/** protobuf-JSON, without fields that hold nothing. */
export type Expected = { readonly [key: string]: unknown }

export interface Row extends Request {
  /** A rule for `Wide` as `METHOD /template body`; without one, the routes of the service `test.v1.Rest`. */
  readonly rule?: string
  /** Local name of the method that must be found, when it is the service's. */
  readonly method?: string
  readonly message?: Expected
  readonly status?: number
  readonly reason?: string
  /** What the error's text must contain: the name of the field. */
  readonly says?: string
  readonly allow?: ReadonlyArray<string>
}

type Extra = Pick<Request, "type" | "body">

/** A request to the service that binds. */
export const binds = (line: string, method: string, message: Expected, extra: Extra = {}): Row => ({ line, method, message, ...extra })

/** A request to the service that is refused. */
export const refused = (line: string, status: number, says = "", extra: Extra = {}): Row => ({
  line,
  status,
  ...(status === 404 || status === 405 ? undefined : { reason: "CODEC", says }),
  ...extra
})

/** A query of `GET /v1/wide/s`, and what it adds to the message. */
export const query = (text: string, message: Expected): Row => binds(`GET /v1/wide/s?${text}`, "getWide", { stringValue: "s", ...message })

/** A query of `GET /v1/wide/s` that is refused, with the name that the error must say. */
export const badQuery = (text: string, says: string): Row => refused(`GET /v1/wide/s?${text}`, 400, says)

/** A JSON body of `POST /v1/wide`. */
export const json = (body: string, message: Expected): Row =>
  binds("POST /v1/wide", "createWide", message, { body, type: "application/json" })

/** A JSON body of `POST /v1/wide` that is refused. */
export const badJson = (body: string | Uint8Array, says = "json"): Row =>
  refused("POST /v1/wide", 400, says, { body, type: "application/json" })

/** A form body of `POST /v1/wide`. */
export const form = (body: string, message: Expected): Row =>
  binds("POST /v1/wide", "createWide", message, { body, type: "application/x-www-form-urlencoded" })

/** A rule of its own for `Wide`. */
export const rule = (rule: string, line: string, message: Expected, extra: Extra = {}): Row => ({ rule, line, message, ...extra })

/** A rule of its own for `Wide`, and a request that it does not match. */
export const misses = (rule: string, line: string, status = 404): Row => ({ rule, line, status })
