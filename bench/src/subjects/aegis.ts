/**
 * What a call pays for each of the availability algorithms, in a process without a wire: on a line such as `{"seconds":1,"load":"breaker"}` it asks
 * and reports that long, with the clock read at both ends of a call, and prints how often and how many were admitted.
 */
import * as BbrLimiter from "@effect-kratos/aegis/BbrLimiter"
import * as ConcurrencyLimit from "@effect-kratos/aegis/ConcurrencyLimit"
import * as DelayLimiter from "@effect-kratos/aegis/DelayLimiter"
import * as HeavyKeeper from "@effect-kratos/aegis/HeavyKeeper"
import * as RetryBudget from "@effect-kratos/aegis/RetryBudget"
import * as SreBreaker from "@effect-kratos/aegis/SreBreaker"
import * as TokenBucket from "@effect-kratos/aegis/TokenBucket"
import * as readline from "node:readline"

const random = { nextDoubleUnsafe: Math.random, nextIntUnsafe: () => Math.floor(Math.random() * Number.MAX_SAFE_INTEGER) }
const keys = Array.from({ length: 1000 }, (_, i) => `caller ${i}`)

/** One call: whether it was admitted. */
type Call = (i: number) => boolean

const breaker = (isUp: boolean): Call => {
  const self = SreBreaker.makeUnsafe({}, random)
  return () => {
    const ticket = self.tryAcquire(Date.now())
    if (ticket === 0) return false
    if (isUp) self.succeed(Date.now(), ticket)
    else self.fail(Date.now(), ticket)
    return true
  }
}

const bbr = (permille: number, held: number): Call => {
  const self = BbrLimiter.makeUnsafe({}, { permille: () => permille })
  for (let i = 0; i < held; i++) self.tryAcquire(Date.now())
  return () => {
    const start = Date.now()
    if (!self.tryAcquire(start)) return false
    self.done(start, Date.now())
    return true
  }
}

/** A loop that is late from the start or never, in turns of a millisecond. */
const delay = (isLate: boolean): Call => {
  let ended = 0
  const self = DelayLimiter.make(
    {},
    { delay: () => (isLate ? 1e6 : 0), standing: () => (isLate ? 1e6 : 0), active: () => ended, turn: (now) => now }
  )
  if (isLate) {
    // one call in a day, so that there is a rate to keep
    const day = 86_400_000
    self.tryAcquire(Date.now() - day)
    self.done(0, 0)
    ended = day
  }
  return () => {
    const start = Date.now()
    if (!self.tryAcquire(start)) return false
    self.done(start, Date.now())
    return true
  }
}

const loads: Readonly<Record<string, () => Call>> = {
  breaker: () => breaker(true),
  "breaker, open": () => breaker(false),
  bbr: () => bbr(100, 0),
  "bbr, overloaded": () => bbr(1000, 2),
  delay: () => delay(false),
  "delay, overloaded": () => delay(true),
  "token bucket": () => {
    const self = TokenBucket.make({ rate: 1e9 })
    return () => self.tryTake(Date.now()) === 0
  },
  "token bucket, 1000 keys": () => {
    const self = TokenBucket.makeKeyed({ rate: 1e9 })
    return (i) => self.tryTake(keys[i % 1000]!, Date.now()) === 0
  },
  "retry budget": () => {
    const self = RetryBudget.make()
    return () => {
      self.call(Date.now())
      return true
    }
  },
  "concurrency limit": () => {
    const self = ConcurrencyLimit.make()
    return () => {
      if (!self.tryAcquire()) return false
      const start = Date.now()
      self.succeed(start, Date.now())
      return true
    }
  },
  "top 100": () => {
    const self = HeavyKeeper.makeUnsafe({ k: 100 }, random)
    return (i) => {
      self.add(keys[Math.floor(Math.sqrt((i * 7919) % 1_000_000))]!)
      return true
    }
  }
}

/** Calls between two looks at the length of the run. */
const BATCH = 1000

const lines = readline.createInterface({ input: process.stdin })
const calls = new Map<string, Call>()
lines.on("line", (line) => {
  const { load, seconds } = JSON.parse(line) as { load: string; seconds: number } // written by `Aegis.ts`
  const call = calls.get(load) ?? loads[load]!()
  calls.set(load, call)
  const cpu = process.cpuUsage()
  const start = performance.now()
  let done = 0
  let admitted = 0
  let now = start
  do {
    for (let i = 0; i < BATCH; i++) if (call(done + i)) admitted++
    done += BATCH
    now = performance.now()
  } while (now - start < seconds * 1000)
  const { system, user } = process.cpuUsage(cpu)
  process.stdout.write(`${JSON.stringify({ calls: done, admitted, seconds: (now - start) / 1000, cpuSeconds: (user + system) / 1e6 })}\n`)
})
lines.on("close", () => process.exit(0))
process.stdout.write(`{"ready":1}\n`)
