/** The cases that every client program goes through, by the names it prints. The readme says what each asks for. */
export const cases = [
  "unary",
  "unary-empty",
  "unary-concurrent",
  "server-stream",
  "server-stream-large",
  "client-stream",
  "client-stream-empty",
  "bidi",
  "bidi-ping-pong",
  "error",
  "error-unmapped",
  "error-text",
  "error-stream",
  "deadline",
  "cancel",
  "cancel-stream",
  "cancel-bidi",
  "metadata",
  "gzip",
  "gzip-reply",
  "large",
  "oversize",
  "unknown-method",
  "unknown-service",
  "health"
] as const

export type Case = (typeof cases)[number]
