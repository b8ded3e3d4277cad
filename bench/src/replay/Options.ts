/** What the load generator is told. */
export interface Options {
  readonly port: number
  readonly path: string
  /** The request's body, in base64. */
  readonly body: string
  readonly connections: number
  /** Calls in flight on each connection, at most. */
  readonly streams: number
  readonly seconds: number
  /** Eight more headers, no two calls alike. */
  readonly varied: boolean
  /** Calls a second of an open load; absent: as many as are answered. */
  readonly rate?: number | undefined
}
