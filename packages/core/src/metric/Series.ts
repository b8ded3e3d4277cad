/**
 * Counters and histograms that are resolved once and then updated by a plain call. They live in Effect's `MetricRegistry`, so whatever reads metrics
 * from there (`Metric.snapshot`, the OTLP exporter, `Prometheus`) sees them; Effect's own metrics look their series up on every update, which costs
 * more than the update.
 *
 * A histogram keeps for each bucket an example with the trace that it was part of. Only the OpenMetrics form of `Prometheus` can show these.
 */
import type * as Metric from "effect/Metric"

type Registry = Metric.MetricRegistry

/** What identifies a series, and what readers are told of it. An attribute `unit` is for readers, which take it for the unit. */
export interface Identity {
  /** The name of the instrument. */
  readonly id: string
  readonly description: string
  readonly attributes: Metric.Metric.AttributeSet
}

/** One measured value with the span it was measured in. */
export interface Exemplar {
  readonly value: number
  readonly traceId: string
  readonly spanId: string
  /** Milliseconds since 1970. */
  readonly time: number
}

/** What `Metric.snapshot` shows of our histograms: what it shows of Effect's, and exemplars by index of their bucket. */
export interface HistogramState extends Metric.HistogramState {
  readonly exemplars: ReadonlyArray<Exemplar | undefined>
}

export class Counter implements Metric.Metric.Hooks<number, Metric.CounterState<number>> {
  private count = 0

  add(): void {
    this.count++
  }
  readonly get = (): Metric.CounterState<number> => ({ count: this.count, incremental: true })
  readonly update = (input: number): void => {
    if (input > 0) this.count += input
  }
  readonly modify = this.update
}

/** An example is replaced when it is this old, in milliseconds: what is shown is recent, and a busy bucket makes one object a second. */
const EXEMPLAR_AGE = 1_000

export class Histogram implements Metric.Metric.Hooks<number, HistogramState> {
  private readonly boundaries: ReadonlyArray<number>
  private readonly counts: Float64Array
  private readonly exemplars: Array<Exemplar | undefined>
  private count = 0
  private sum = 0
  private min = Infinity
  private max = -Infinity

  /** `boundaries` ascend; values above the last have a bucket of their own. */
  constructor(boundaries: ReadonlyArray<number>) {
    this.boundaries = boundaries
    this.counts = new Float64Array(boundaries.length + 1)
    this.exemplars = Array.from(this.counts, () => undefined)
  }

  /** Adds a value and returns the index of its bucket, for `exemplify`. */
  record(value: number): number {
    const { boundaries } = this
    let bucket = 0
    // most calls are fast: the first few buckets hold nearly all of them
    while (bucket < boundaries.length && value > boundaries[bucket]!) bucket++
    this.counts[bucket]!++
    this.count++
    this.sum += value
    if (value < this.min) this.min = value
    if (value > this.max) this.max = value
    return bucket
  }

  /** Whether a new example of a bucket is wanted. */
  wantsExemplar(bucket: number, now: number): boolean {
    const last = this.exemplars[bucket]
    return last === undefined || now - last.time >= EXEMPLAR_AGE
  }
  exemplify(bucket: number, exemplar: Exemplar): void {
    this.exemplars[bucket] = exemplar
  }

  readonly get = (): HistogramState => {
    let cumulative = 0
    const buckets = this.boundaries.map((boundary, i): [number, number] => [boundary, (cumulative += this.counts[i]!)])
    const { count, max, min, sum } = this
    return { buckets, count, sum, min: count === 0 ? 0 : min, max: count === 0 ? 0 : max, exemplars: this.exemplars.slice() }
  }
  readonly update = (input: number): void => void this.record(input)
  readonly modify = this.update
}

/** The counter of that identity in a registry, which is made when there is none. */
export const counter = (registry: Registry, identity: Identity): Counter => {
  const key = keyOf("Counter", identity)
  const known = registry.get(key)?.hooks
  if (known instanceof Counter) return known
  const hooks = new Counter()
  registry.set(key, { ...identity, type: "Counter", hooks })
  return hooks
}

/** The histogram of that identity in a registry, which is made when there is none. The boundaries are those of the first who asked. */
export const histogram = (registry: Registry, identity: Identity, boundaries: ReadonlyArray<number>): Histogram => {
  const key = keyOf("Histogram", identity)
  const known = registry.get(key)?.hooks
  if (known instanceof Histogram) return known
  const hooks = new Histogram(boundaries)
  registry.set(key, { ...identity, type: "Histogram", hooks })
  return hooks
}

// Effect's own keys begin with the type alone: no metric of the same name made with `Metric.counter` is taken for ours
const keyOf = (type: Metric.Metric.Type, { attributes, id }: Identity): string =>
  `kratos:${type}:${id}:${JSON.stringify(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)))}`
