/**
 * The config of a program, followed while it runs. Each change is merged, resolved, and decoded by everything that reads it before it takes the place of
 * what was there; a change that any reader cannot decode is reported and leaves the last good config in place. Kratos merges changes into the old tree and
 * hands them out unchecked; here removed keys disappear and nobody sees a config that is not valid.
 */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { type ConfigReport, ConfigReports } from "./ConfigReports.ts"
import * as ConfigFormat from "./ConfigFormat.ts"
import type { ConfigSource, KeyValue } from "./ConfigSource.ts"
import type { ConfigSourceError } from "./ConfigSourceError.ts"
import type { ConfigTree } from "./ConfigTree.ts"
import * as Tree from "./ConfigTree.ts"
import * as Placeholders from "./Placeholders.ts"
import * as Snapshot from "./Snapshot.ts"

export class ConfigStore extends Context.Service<
  ConfigStore,
  {
    readonly snapshot: Effect.Effect<Snapshot.Snapshot>
    /** The current snapshot and every later one; a slow reader may miss some in between, never the last. */
    readonly snapshots: Stream.Stream<Snapshot.Snapshot>
    /** A part of the config as it is now, all of it from one snapshot. */
    readonly get: <A>(part: Snapshot.Part<A>) => Effect.Effect<A, Config.ConfigError>
    /**
     * A part now and whenever it has changed. Fails only when the part cannot be decoded at the beginning: while it is watched, a config in which it cannot be
     * is not put in place.
     */
    readonly watch: <A>(part: Snapshot.Part<A>) => Stream.Stream<A, Config.ConfigError>
    /** Whether the last change was taken, and which sources fail. */
    readonly reports: Stream.Stream<ConfigReport>
    readonly report: Effect.Effect<ConfigReport>
    /** The snapshots that were in place, the current one last. */
    readonly history: Effect.Effect<ReadonlyArray<Snapshot.Snapshot>>
    /**
     * Puts the content of an earlier snapshot in place again; it stays until a source changes anew. Fails with `ConfigError` when that version is not in the
     * history or today's readers cannot decode it.
     */
    readonly rollback: (version: number) => Effect.Effect<Snapshot.Snapshot, Config.ConfigError>
  }
>()("@effect-kratos/core/config/ConfigStore") {}

export interface Options<A = unknown> {
  /** Later sources win. */
  readonly sources: ReadonlyArray<ConfigSource>
  /** What the whole config must be: it is not put in place, and the program does not start, when it is not. */
  readonly schema?: Schema.Codec<A, unknown> | Snapshot.Part<A> | undefined
  /** Formats beside the known ones, or in their place, by ending. */
  readonly formats?: ConfigFormat.Formats | undefined
  /** How a later document is laid over those before it. Default: deep, key by key. */
  readonly merge?: ((earlier: ConfigTree, later: ConfigTree) => ConfigTree) | undefined
  /** What becomes of the merged tree. Default: `${path:default}` placeholders are resolved. */
  readonly resolve?: ((tree: ConfigTree) => ConfigTree) | undefined
  /** For the default `resolve`: a value with a placeholder takes the type that its text has. Default false. */
  readonly actualTypes?: boolean | undefined
  /** Snapshots kept for a rollback. Default 10. */
  readonly history?: number | undefined
  /** Longest document, in characters. Default 4 Mi. */
  readonly maxDocumentLength?: number | undefined
  /** The first pause before a source that failed is followed again; it doubles up to a minute, with jitter. Default 1 second. */
  readonly retry?: Duration.Input | undefined
}

/**
 * Loads all sources, and follows them as long as the layer lives. It is the `ConfigProvider` of what is built with it too: `yield* Config.Port("port")` reads
 * the config as it is at that moment; parts that belong together are read with `get` or one `Config.all`.
 */
export const layer = <A = unknown>(options: Options<A>): Layer.Layer<ConfigStore, ConfigSourceError | Config.ConfigError> =>
  Layer.effectContext(
    Effect.map(make(options), ({ provider, store }) =>
      Context.make(ConfigStore, store).pipe(Context.add(ConfigProvider.ConfigProvider, provider))
    )
  )

const make = Effect.fnUntraced(function* <A>(options: Options<A>) {
  const {
    actualTypes,
    formats,
    history: kept = 10,
    maxDocumentLength = 4_194_304,
    merge = Tree.merge,
    retry = "1 second",
    sources
  } = options
  const { resolve = (tree: ConfigTree) => Placeholders.resolve(tree, { actualTypes }) } = options
  const known = { ...ConfigFormat.defaults, ...formats }
  const reports = yield* ConfigReports.make(sources.map(({ name }) => name))
  /** Who must be able to decode a config before it is put in place. */
  const readers = new Set<Snapshot.Part<unknown>>()
  if (options.schema !== undefined) readers.add(Schema.isSchema(options.schema) ? Config.schema(options.schema) : options.schema)
  /** One change at a time; a rollback is one. */
  const turn = yield* Semaphore.make(1)

  /** The documents of a source, each decoded once as long as it stays the same. */
  const decoder = (source: ConfigSource) => {
    let cache = new Map<string, { readonly from: KeyValue; readonly document: Snapshot.Document }>()
    return Effect.fnUntraced(function* (list: ReadonlyArray<KeyValue>) {
      const fresh: typeof cache = new Map()
      const documents: Array<Snapshot.Document> = []
      for (const from of list) {
        const id = `${from.format} ${from.key}`
        const before = cache.get(id)
        const document =
          before?.from.value === from.value && before.document.secret === (from.secret ?? false)
            ? before.document
            : {
                source: source.name,
                key: from.key,
                secret: from.secret ?? false,
                tree: yield* ConfigFormat.decode(source.name, from, known, maxDocumentLength)
              }
        fresh.set(id, { from, document })
        documents.push(document)
      }
      cache = fresh
      return documents
    })
  }
  const decoders = sources.map(decoder)

  const assemble = (
    latest: ReadonlyArray<ReadonlyArray<Snapshot.Document>>,
    version: number
  ): Effect.Effect<Snapshot.Snapshot, Config.ConfigError> =>
    Effect.gen(function* () {
      const documents = latest.flat()
      const tree = yield* Effect.try({
        try: () => resolve(documents.reduce((earlier, { tree }) => merge(earlier, tree), Tree.empty)),
        catch: (cause) => configError("the documents cannot be merged", cause)
      })
      return { version, at: yield* Clock.currentTimeMillis, tree, documents }
    })
  const check = (snapshot: Snapshot.Snapshot): Effect.Effect<void, Config.ConfigError> =>
    Effect.forEach([...readers], (part) => Snapshot.decode(part, snapshot), { discard: true })

  const latest = yield* Effect.forEach(sources, (source, i) => Effect.flatMap(source.load, decoders[i]!), { concurrency: "unbounded" })
  const first = yield* assemble(latest, 1)
  yield* check(first)
  const current = yield* SubscriptionRef.make(first)
  const now = (): Snapshot.Snapshot => SubscriptionRef.getUnsafe(current)
  let history: ReadonlyArray<Snapshot.Snapshot> = [first]
  /** What the sources say while an earlier snapshot is in place by a rollback. */
  let overruled: ConfigTree | undefined

  const put = (snapshot: Snapshot.Snapshot): Effect.Effect<void> =>
    Effect.suspend(() => {
      history = [...history, snapshot].slice(-Math.max(1, kept))
      return SubscriptionRef.set(current, snapshot)
    })

  const apply = Effect.fnUntraced(function* (index: number, list: ReadonlyArray<KeyValue>) {
    const { name } = sources[index]!
    const exit = yield* Effect.gen(function* () {
      const documents = yield* decoders[index]!(list)
      const candidate = yield* assemble(
        latest.map((before, i) => (i === index ? documents : before)),
        now().version + 1
      )
      const expected = overruled ?? now().tree
      if (!Tree.equal(candidate.tree, expected)) yield* check(candidate)
      // readers have agreed: nothing fails from here on
      latest[index] = documents
      if (Tree.equal(candidate.tree, expected)) return undefined
      overruled = undefined
      yield* put(candidate)
      return candidate
    }).pipe(Effect.exit)
    if (Exit.isFailure(exit)) return yield* reports.rejected(name, exit.cause)
    yield* reports.accepted(name, exit.value)
  }, turn.withPermit)

  const firstPause = Duration.toMillis(Duration.fromInputUnsafe(retry))
  const follow = (source: ConfigSource, index: number): Effect.Effect<void> => {
    let failures = 0
    const once = Stream.runForEach(source.changes, (list) => {
      failures = 0
      return apply(index, list)
    })
    const pause = Effect.flatMap(Random.nextBetween(0.8, 1.2), (jitter) =>
      Effect.sleep(Math.min(firstPause * 2 ** failures++, maxPause) * jitter)
    )
    const again: Effect.Effect<void> = Effect.catch(once, (error) =>
      reports.failing(source.name, error).pipe(Effect.andThen(pause), Effect.andThen(Effect.suspend(() => again)))
    )
    return again
  }
  yield* Effect.forEach(sources, (source, index) => Effect.forkScoped(follow(source, index)))

  const rollback = (version: number) =>
    Effect.gen(function* () {
      const earlier = history.find((snapshot) => snapshot.version === version)
      if (earlier === undefined) {
        return yield* Effect.fail(configError(`there is no version ${version}, but ${history.map((one) => one.version).join(", ")}`))
      }
      const before = now()
      const again: Snapshot.Snapshot = { ...earlier, version: before.version + 1, at: yield* Clock.currentTimeMillis }
      yield* check(again)
      overruled ??= before.tree
      yield* put(again)
      yield* Effect.logWarning(`config: rolled back to version ${version}, which is now version ${again.version}`)
      return again
    }).pipe(turn.withPermit)

  const watch = <A>(part: Snapshot.Part<A>): Stream.Stream<A, Config.ConfigError> =>
    Stream.unwrap(
      Effect.gen(function* () {
        // an object of its own: two streams of one part come and go each for itself
        const reader: Snapshot.Slice<A> = { decode: (snapshot) => Snapshot.decode(part, snapshot) }
        const initial = yield* turn.withPermit(
          Effect.gen(function* () {
            const value = yield* reader.decode(now())
            yield* Effect.acquireRelease(
              Effect.sync(() => readers.add(reader)),
              () => Effect.sync(() => readers.delete(reader))
            )
            return value
          })
        )
        let last: A = initial
        return Stream.make(initial).pipe(
          Stream.concat(
            Stream.mapEffect(SubscriptionRef.changes(current), (snapshot) =>
              // it was decoded once before it was put in place
              Effect.catch(reader.decode(snapshot), (error) =>
                Effect.as(Effect.logError("config: a part cannot be decoded a second time", error), last)
              )
            )
          ),
          Stream.changes,
          Stream.tap((value) => Effect.sync(() => (last = value)))
        )
      })
    )

  const store = ConfigStore.of({
    snapshot: Effect.sync(now),
    snapshots: SubscriptionRef.changes(current),
    get: (part) => Effect.suspend(() => Snapshot.decode(part, now())),
    watch,
    reports: reports.all,
    report: reports.current,
    history: Effect.sync(() => history),
    rollback
  })
  return { store, provider: ConfigProvider.make((path) => Effect.suspend(() => Snapshot.provider(now()).load(path))) }
})

/** Milliseconds. */
const maxPause = 60_000

const configError = (message: string, cause?: unknown): Config.ConfigError =>
  new Config.ConfigError(new ConfigProvider.SourceError({ message: `config: ${message}`, cause }))
