/**
 * Who waits for a change of what. ZooKeeper tells each change once, to a connection: a watch is gone when it was told, and when the connection is. Watches of
 * one path share what the server tells.
 */
import { EventType, type WatcherEvent } from "./Records.ts"

/** Hears of changes until it is closed. */
export interface Watcher {
  /** The path that changed; undefined when the connection was lost, and with it all watches. May not throw. */
  readonly onChange: (path: string | undefined) => void
}

/** What is watched of a path: the node, or the names below it. */
export type Kind = "node" | "children"

export interface Watches {
  readonly open: (onChange: Watcher["onChange"]) => Watcher
  readonly close: (watcher: Watcher) => void
  readonly add: (watcher: Watcher, kind: Kind, path: string) => void
  readonly tell: (event: WatcherEvent) => void
  readonly lose: () => void
  /** Watches that wait, all told. */
  readonly size: () => number
}

export const make = (): Watches => {
  const watched: Readonly<Record<Kind, Map<string, Set<Watcher>>>> = { node: new Map(), children: new Map() }
  /** The open ones, each with the paths that it waits for. */
  const watchers = new Map<Watcher, Readonly<Record<Kind, Set<string>>>>()

  const take = (kind: Kind, path: string): Iterable<Watcher> => {
    const found = watched[kind].get(path)
    if (found === undefined) return []
    watched[kind].delete(path)
    for (const watcher of found) watchers.get(watcher)?.[kind].delete(path)
    return found
  }

  return {
    open: (onChange) => {
      const watcher = { onChange }
      watchers.set(watcher, { node: new Set(), children: new Set() })
      return watcher
    },
    close: (watcher) => {
      const paths = watchers.get(watcher)
      if (paths === undefined) return
      watchers.delete(watcher)
      for (const kind of ["node", "children"] as const)
        for (const path of paths[kind]) {
          const others = watched[kind].get(path)
          if (others?.delete(watcher) === true && others.size === 0) watched[kind].delete(path)
        }
    },
    add: (watcher, kind, path) => {
      const paths = watchers.get(watcher)
      // an answer that comes after its watcher has gone
      if (paths === undefined) return
      paths[kind].add(path)
      const others = watched[kind].get(path)
      if (others === undefined) watched[kind].set(path, new Set([watcher]))
      else others.add(watcher)
    },
    tell: ({ path, type }) => {
      const told = new Set<Watcher>()
      if (type === EventType.created || type === EventType.changed || type === EventType.deleted)
        for (const watcher of take("node", path)) told.add(watcher)
      if (type === EventType.children || type === EventType.deleted) for (const watcher of take("children", path)) told.add(watcher)
      for (const watcher of told) watcher.onChange(path)
    },
    lose: () => {
      watched.node.clear()
      watched.children.clear()
      for (const [watcher, { children, node }] of watchers) {
        if (node.size + children.size === 0) continue
        node.clear()
        children.clear()
        watcher.onChange(undefined)
      }
    },
    size: () => watched.node.size + watched.children.size
  }
}
