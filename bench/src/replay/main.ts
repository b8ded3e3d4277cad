/**
 * The load generator of our own: `main.ts '{"port":…}'` sends recorded gRPC calls and prints a report. It exists for what h2load cannot do: headers that
 * differ from call to call, and an open load, whose calls are due at fixed times whatever the server does; latency counts from when a call was due, so
 * that a server that stops is charged for the calls it keeps waiting.
 */
import { Connection } from "./Connection.ts"
import { record } from "./Blocks.ts"
import type { Options } from "./Options.ts"
import { percentile, type ReplayReport } from "./Report.ts"

/** Load before the timed part, in seconds: this program is new and has to get fast. */
const SETTLE = 0.3
/** How long answers are waited for behind an open load, in milliseconds. */
const PATIENCE = 10_000
/** Streams of a connection whose due times are remembered. */
const REMEMBERED = 65_536

const fail = (why: string): never => {
  process.stderr.write(`${why}\n`)
  process.exit(1)
}

const main = async (options: Options): Promise<void> => {
  const { rate, seconds, streams } = options
  const blocks = await record(options.path, options.varied)
  const body = Buffer.from(options.body, "base64")
  const latencies = rate === undefined ? undefined : new Float64Array(Math.ceil(rate * (seconds + 1)))
  const due = new Map<Connection, Float64Array>()
  let calls = 0
  let timed = 0
  let startedAt = Number.POSITIVE_INFINITY
  let now = performance.now()

  const onAnswer = (connection: Connection, index: number): void => {
    if (latencies === undefined) {
      if (now >= startedAt) timed++
      return
    }
    // every call that was due in the timed part counts, whenever its answer comes
    const dueAt = due.get(connection)![index % REMEMBERED]!
    if (dueAt >= startedAt && timed < latencies.length) latencies[timed++] = now - dueAt
  }
  const make = () =>
    new Connection({
      port: options.port,
      blocks,
      body,
      streams,
      nextCall: () => calls++,
      onAnswer,
      onReading: () => (now = performance.now()),
      onRead: (connection) => {
        if (rate === undefined) connection.send(connection.free)
      },
      onFailure: fail
    })
  const connections = Array.from({ length: options.connections }, make)
  now = performance.now()
  startedAt = now + SETTLE * 1000
  const endsAt = startedAt + seconds * 1000

  if (rate === undefined) {
    for (const connection of connections) connection.send(connection.free)
    await new Promise((resolve) => setTimeout(resolve, endsAt - performance.now()))
  } else {
    for (const connection of connections) due.set(connection, new Float64Array(REMEMBERED))
    await openLoad(connections, due, rate, endsAt)
  }
  const elapsed = rate === undefined ? (performance.now() - startedAt) / 1000 : seconds

  const sum = (of: (connection: Connection) => number) => connections.reduce((total, connection) => total + of(connection), 0)
  const measured = latencies?.subarray(0, timed) ?? new Float64Array(0)
  const report: ReplayReport = {
    rate: timed / elapsed,
    done: sum(({ answered }) => answered),
    seconds: elapsed,
    bytes: sum(({ bytes }) => bytes),
    p50: percentile(measured, 0.5),
    p99: percentile(measured, 0.99)
  }
  for (const connection of connections) connection.close()
  process.stdout.write(`${JSON.stringify(report)}\n`)
}

/** Sends each call at its time, in turn over the connections, and waits for the answers; a call that finds no free stream goes out late and is late. */
const openLoad = (
  connections: ReadonlyArray<Connection>,
  due: ReadonlyMap<Connection, Float64Array>,
  rate: number,
  endsAt: number
): Promise<void> =>
  new Promise((resolve) => {
    const first = performance.now()
    let sent = 0
    const turn = (): void => {
      const now = performance.now()
      const wanted = Math.floor(((Math.min(now, endsAt) - first) / 1000) * rate)
      for (; sent < wanted; sent++) {
        const connection = connections[sent % connections.length]!
        if (connection.free <= 0) break
        due.get(connection)![connection.opened % REMEMBERED] = first + (sent / rate) * 1000
        connection.send(1)
      }
      if (now < endsAt || sent < wanted || connections.some(({ answered, opened }) => answered < opened)) {
        if (now > endsAt + PATIENCE) fail(`calls had no answer ${PATIENCE / 1000} s after the end`)
        setImmediate(turn) // a timer would be a millisecond late
      } else {
        resolve()
      }
    }
    turn()
  })

await main(JSON.parse(process.argv[2] ?? "{}") as Options) // written by `Replay.ts`
