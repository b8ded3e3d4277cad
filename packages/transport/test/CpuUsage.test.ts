import * as Aegis from "@effect-kratos/aegis/CpuUsage"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TestClock } from "effect/testing"
import * as Cgroup from "../src/Cgroup.ts"
import * as CpuUsage from "../src/CpuUsage.ts"

type Files = Record<string, string>

const reader =
  (files: Files): Cgroup.ReadFile =>
  (path) =>
    files[path]

const version1: Files = {
  "/proc/self/cgroup": "12:pids:/docker/ab\n4:cpu,cpuacct:/docker/ab\n3:cpuset:/docker/ab\n0::/docker/ab\n",
  "/sys/fs/cgroup/cpuset/cpuset.cpus": "0-2,4\n",
  "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "20000\n",
  "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
  "/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage": "123456789\n"
}

const version2: Files = {
  "/proc/self/cgroup": "0::/\n",
  "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n",
  "/sys/fs/cgroup/cpuset.cpus.effective": "0-3\n",
  "/sys/fs/cgroup/cpu.max": "150000 100000\n",
  "/sys/fs/cgroup/cpu.stat": "usage_usec 12345\nuser_usec 10000\nsystem_usec 2345\nnr_periods 0\n"
}

describe("Cgroup", () => {
  it("reads version 1, in the folder of a container too", () => {
    const group = Cgroup.detect(reader(version1))
    assert.deepStrictEqual([group?.version, group?.quota(), group?.usage()], [1, 0.2, 123_456_789])
    const inside = Cgroup.detect(
      reader({
        ...version1,
        "/sys/fs/cgroup/cpu/docker/ab/cpu.cfs_quota_us": "10000",
        "/sys/fs/cgroup/cpu/docker/ab/cpu.cfs_period_us": "100000",
        "/sys/fs/cgroup/cpuacct/docker/ab/cpuacct.usage": "42"
      })
    )
    assert.deepStrictEqual([inside?.quota(), inside?.usage()], [0.1, 42])
  })

  it("reads version 2", () => {
    const group = Cgroup.detect(reader(version2))
    assert.deepStrictEqual([group?.version, group?.quota(), group?.usage()], [2, 1.5, 12_345_000])
  })

  it("takes the tightest quota of the groups above, and the usage of who shares it", () => {
    const group = Cgroup.detect(
      reader({
        ...version2,
        "/proc/self/cgroup": "0::/pod/container\n",
        "/sys/fs/cgroup/pod/container/cpu.max": "max 100000\n",
        "/sys/fs/cgroup/pod/container/cpu.stat": "usage_usec 5\n",
        "/sys/fs/cgroup/pod/cpu.max": "50000 100000\n",
        "/sys/fs/cgroup/pod/cpu.stat": "usage_usec 77\n"
      })
    )
    assert.deepStrictEqual([group?.quota(), group?.usage()], [0.5, 77_000])
  })

  it("knows no quota where there is none, and takes the set of processors", () => {
    const none = Cgroup.detect(reader({ ...version2, "/sys/fs/cgroup/cpu.max": "max 100000\n" }))
    assert.deepStrictEqual([none?.limit(), none?.quota()], [undefined, 4])
    const old = Cgroup.detect(reader({ ...version1, "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n" }))
    assert.deepStrictEqual([old?.limit(), old?.quota()], [undefined, 4])
    const bare = Cgroup.detect(reader({ "/sys/fs/cgroup/cgroup.controllers": "", "/sys/fs/cgroup/cpu.stat": "usage_usec 1" }))
    assert.deepStrictEqual([bare?.quota(), bare?.usage()], [undefined, 1000])
    assert.strictEqual(Cgroup.detect(reader({})), undefined)
    assert.strictEqual(Cgroup.detect(reader({ "/proc/self/cgroup": "0::/\n" })), undefined)
  })

  it("notices that the quota is another one", () => {
    const files = { ...version2 }
    const group = Cgroup.detect(reader(files))
    assert.strictEqual(group?.quota(), 1.5)
    files["/sys/fs/cgroup/cpu.max"] = "300000 100000"
    assert.strictEqual(group?.quota(), 3)
  })

  it.each(["", "max", "invalid", "20000", "20000 0", "-5 100000", "0 100000", "1 2 3", "20000 1e5", "99999999999999999999 100000"])(
    "takes cpu.max %j for no quota",
    (text) => {
      const files = { ...version2, "/sys/fs/cgroup/cpu.max": text, "/sys/fs/cgroup/cpuset.cpus.effective": "" }
      assert.strictEqual(Cgroup.detect(reader(files))?.quota(), undefined)
    }
  )

  it.each(["", "x", "0-", "-3", "3-1", "0,,1", "0-2x", "0 1"])("takes the list %j for none", (text) => {
    const files = { ...version2, "/sys/fs/cgroup/cpu.max": "max 100000", "/sys/fs/cgroup/cpuset.cpus.effective": text }
    assert.strictEqual(Cgroup.detect(reader(files))?.quota(), undefined)
  })

  it.each(["", "user_usec 5", "usage_usec", "usage_usec -5", "usage_usec 5x"])("takes cpu.stat %j for unreadable", (text) => {
    assert.strictEqual(Cgroup.detect(reader({ ...version2, "/sys/fs/cgroup/cpu.stat": text }))?.usage(), undefined)
  })

  it("stays inside of what is mounted, whatever the path", () => {
    const paths: Array<string> = []
    const group = Cgroup.detect((path) => {
      paths.push(path)
      return { ...version2, "/proc/self/cgroup": "0::/../../etc\ngarbage\n" }[path]
    })
    assert.deepStrictEqual([group?.quota(), group?.usage()], [1.5, 12_345_000])
    for (const path of paths) assert.notInclude(path, "..")
  })
})

const second = 1e9

describe("CpuUsage", () => {
  it("is the usage of the control group in its elapsed time and quota", () => {
    for (const [files, set] of [
      [{ ...version1 }, (files: Files, millis: number) => (files["/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage"] = `${millis * 1e6}`)],
      [{ ...version2 }, (files: Files, millis: number) => (files["/sys/fs/cgroup/cpu.stat"] = `usage_usec ${millis * 1000}\n`)]
    ] as const) {
      const sample = CpuUsage.cgroup(reader(files), 8)
      const quota = Cgroup.detect(reader(files))!.quota()!
      set(files, 1000)
      assert.strictEqual(sample(5 * second), undefined)
      set(files, 1000 + 250 * quota)
      assert.closeTo(sample(5.5 * second)!, 500, 1e-6)
      set(files, 1000 + 750 * quota)
      assert.closeTo(sample(6 * second)!, 1000, 1e-6)
      // another group
      set(files, 3)
      assert.strictEqual(sample(6.5 * second), undefined)
      assert.strictEqual(sample(7 * second), 0)
      assert.strictEqual(sample(7 * second), undefined)
    }
  })

  it("shares all processors without a quota, and knows nothing without a group", () => {
    const files: Files = { "/sys/fs/cgroup/cgroup.controllers": "", "/sys/fs/cgroup/cpu.stat": "usage_usec 0" }
    const sample = CpuUsage.cgroup(reader(files), 4)
    sample(0)
    files["/sys/fs/cgroup/cpu.stat"] = "usage_usec 1000000"
    assert.strictEqual(sample(second), 250)
    const nothing = CpuUsage.cgroup(reader({}), 4)
    assert.deepStrictEqual([nothing(0), nothing(second)], [undefined, undefined])
  })

  it("is the time of the process, or of the event loop", () => {
    let time = { user: 0, system: 0 }
    const process = CpuUsage.process(() => time, 2)
    process(0)
    time = { user: 300_000, system: 200_000 }
    assert.strictEqual(process(second), 250)
    let loop = { active: 100, idle: 0 }
    const eventLoop = CpuUsage.eventLoop(() => loop)
    assert.strictEqual(eventLoop(0), undefined)
    loop = { active: 400, idle: 100 }
    assert.strictEqual(eventLoop(second), 750)
    assert.strictEqual(eventLoop(second), undefined)
  })

  it("is the highest of what is known", () => {
    const sample = CpuUsage.highest(
      () => undefined,
      () => 300,
      () => 200
    )
    assert.strictEqual(sample(0), 300)
    assert.strictEqual(CpuUsage.highest(() => undefined)(0), undefined)
  })

  it("is by default that of a limited group, else of the process, or of the event loop where that is higher", () => {
    const files = { ...version2 }
    const sample = CpuUsage.standard(
      reader(files),
      () => 999,
      () => 100
    )
    assert.strictEqual(sample(0), 100)
    files["/sys/fs/cgroup/cpu.stat"] = `usage_usec ${12_345 + 750_000}\n`
    assert.strictEqual(sample(second), 500)
    assert.strictEqual(sample(2 * second), 100)
    const unlimited = CpuUsage.standard(
      reader({ ...version2, "/sys/fs/cgroup/cpu.max": "max 100000" }),
      () => 999,
      () => 100
    )
    assert.strictEqual(unlimited(0), 999)
  })

  it("measures this process", () => {
    const process = CpuUsage.process()
    const eventLoop = CpuUsage.eventLoop()
    assert.deepStrictEqual([process(0), eventLoop(0)], [undefined, undefined])
    let x = 0
    for (let i = 0; i < 3e7; i++) x += Math.sqrt(i)
    assert.isAbove(x, 0)
    assert.isAbove(process(second)!, 0)
    // it has waited for no event in between
    assert.closeTo(eventLoop(second)!, 1000, 1e-6)
  })

  it.effect("is asked every 250 ms, or as Kratos does, from the beginning of the layer on", () =>
    Effect.gen(function* () {
      for (const [options, interval, first] of [
        [undefined, 250, 300],
        [Aegis.kratos, 500, 50]
      ] as const) {
        const files: Files = { ...version2, "/sys/fs/cgroup/cpu.max": "100000 100000" }
        files["/sys/fs/cgroup/cpu.stat"] = "usage_usec 7000000"
        yield* Effect.gen(function* () {
          const cpu = yield* Aegis.CpuUsage
          files["/sys/fs/cgroup/cpu.stat"] = `usage_usec ${7_000_000 + interval * 1000}`
          yield* TestClock.adjust(interval - 1)
          assert.strictEqual(cpu.permille(), 0)
          yield* TestClock.adjust(1)
          assert.strictEqual(cpu.permille(), first)
        }).pipe(Effect.provide(Layer.fresh(CpuUsage.layerSampler(() => CpuUsage.cgroup(reader(files)), options))))
      }
    })
  )

  it.effect("has layers that need nothing", () =>
    Effect.gen(function* () {
      for (const layer of [CpuUsage.layer(), CpuUsage.layerCgroup(), CpuUsage.layerProcess(), CpuUsage.layerEventLoop({ decay: 0.5 })]) {
        const cpu = yield* Effect.provide(Aegis.CpuUsage, Layer.fresh(layer))
        assert.strictEqual(cpu.permille(), 0)
      }
    })
  )
})
