/**
 * The sessions of MCP clients, in the order in which they were last used. Effect's server keeps every session until its client ends it, and
 * few clients do, so that the oldest give way: a client whose session is gone is told so and starts another.
 */
export interface Sessions {
  /** Notes that a session is in use. */
  readonly touch: (id: string) => void
  /** Notes a new session; returns those that have to give way. */
  readonly open: (id: string) => ReadonlyArray<string>
  readonly close: (id: string) => void
}

export const make = (limit: number): Sessions => {
  // a Set keeps the order of insertion
  const known = new Set<string>()
  return {
    touch: (id) => {
      if (known.delete(id)) known.add(id)
    },
    open: (id) => {
      known.add(id)
      const gone: Array<string> = []
      for (const oldest of known) {
        if (known.size <= limit) break
        known.delete(oldest)
        gone.push(oldest)
      }
      return gone
    },
    close: (id) => void known.delete(id)
  }
}
