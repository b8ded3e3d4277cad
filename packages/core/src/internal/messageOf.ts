/** What a cause says, whatever it is: errors that went through JSON are objects, some without a prototype. */
export const messageOf = (cause: unknown): string => {
  if (typeof cause !== "object" || cause === null) return String(cause)
  const message: unknown = Reflect.get(cause, "message")
  return typeof message === "string" ? message : JSON.stringify(cause)
}
