/** What happened to a set of files between two looks at it. */

/** Path → hash of the content. */
export type Snapshot = ReadonlyMap<string, string>

/** One line per file that was added, changed or removed, by path. */
export const between = (before: Snapshot, after: Snapshot): ReadonlyArray<string> =>
  [...new Set([...before.keys(), ...after.keys()])].toSorted().flatMap((path) => {
    const [old, now] = [before.get(path), after.get(path)]
    if (old === now) return []
    return [`${path} ${old === undefined ? "is new" : now === undefined ? "is gone" : "changed"}`]
  })
