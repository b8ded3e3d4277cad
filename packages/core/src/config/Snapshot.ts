/** The config as it was at one moment. It never changes, so whatever is read from one snapshot belongs together. */
import type * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import type { ConfigTree, Path } from "./ConfigTree.ts"
import * as Tree from "./ConfigTree.ts"

/** One decoded document. */
export interface Document {
  readonly source: string
  readonly key: string
  readonly secret: boolean
  readonly tree: ConfigTree
}

export interface Snapshot {
  /** 1 for the first, one more for each that took the place of another, by a rollback too. */
  readonly version: number
  /** When it was put in place, in milliseconds since the epoch. */
  readonly at: number
  /** Merged, with placeholders resolved. */
  readonly tree: ConfigTree
  /** What it was merged from, the earliest first. */
  readonly documents: ReadonlyArray<Document>
}

/** The document that a value comes from; undefined for a path that is not there. */
export const origin = (self: Snapshot, path: Path): Document | undefined =>
  self.documents.findLast(({ tree }) => Tree.get(tree, path) !== undefined)

export const provider = (self: Snapshot): ConfigProvider.ConfigProvider => ConfigProvider.fromUnknown(self.tree)

/** A part of the config with its type: any `Config` is one, and so is whatever else can be read off a snapshot. */
export interface Slice<out A> {
  readonly decode: (snapshot: Snapshot) => Effect.Effect<A, Config.ConfigError>
}

export type Part<A> = Config.Config<A> | Slice<A>

export const decode = <A>(part: Part<A>, snapshot: Snapshot): Effect.Effect<A, Config.ConfigError> =>
  "decode" in part ? part.decode(snapshot) : part.parse(provider(snapshot))
