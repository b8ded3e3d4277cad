/** The client against a real etcd: names and passwords, tokens that expire, certificates, compaction. */
import * as Daemon from "@effect-kratos/testing/Daemon"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { execFile } from "node:child_process"
import * as Etcd from "../src/Etcd.ts"
import { EtcdServer, layer, make, skip } from "./EtcdServer.ts"

const utf8 = (text: string) => new TextEncoder().encode(text)
const client = (options: Etcd.Options) => Effect.map(Layer.build(Etcd.layer(options)), (context) => Context.get(context, Etcd.Etcd))

const run = (command: string, ...args: ReadonlyArray<string>) =>
  Effect.callback<string>((resume) => {
    execFile(command, args, { env: { ...process.env, ETCDCTL_API: "3" } }, (error, stdout, stderr) =>
      resume(error === null ? Effect.succeed(stdout) : Effect.die(new Error(`${command} ${args.join(" ")}: ${stderr}`)))
    )
  })

const title = (text: string, skip: string | undefined) => `${text}${skip === undefined ? "" : ` (skipped: ${skip})`}`

const noControl = Daemon.missing("etcdctl")

describe.skipIf(skip !== undefined)(title("etcd client", skip), () => {
  it.layer(layer, { excludeTestServices: true })((it) => {
    it.effect("ranges end where prefixes end", () =>
      Effect.gen(function* () {
        const etcd = yield* client({ endpoints: [(yield* EtcdServer).endpoint] })
        for (const key of ["p/a", "p/b", "p0", "p", "p\u{10ffff}", "q"]) yield* etcd.put(key, utf8(key))
        const keys = (range: Etcd.Range) => Effect.map(etcd.get(range), ({ entries }) => entries.map(({ key }) => key))
        assert.deepStrictEqual(yield* keys({ key: "p/", prefix: true }), ["p/a", "p/b"])
        assert.deepStrictEqual(yield* keys({ key: "p", prefix: true }), ["p", "p/a", "p/b", "p0", "p\u{10ffff}"])
        assert.deepStrictEqual(yield* keys({ key: "p" }), ["p"])
        assert.includeMembers(yield* keys({ key: "", prefix: true }), ["p", "q"])
        yield* etcd.remove({ key: "p", prefix: true })
        assert.deepStrictEqual(yield* keys({ key: "p", prefix: true }), [])
      }).pipe(Effect.scoped)
    )
    it.effect.skipIf(noControl !== undefined)(title("a watch from a compacted revision fails and says so", noControl), () =>
      Effect.gen(function* () {
        const { endpoint } = yield* EtcdServer
        const etcd = yield* client({ endpoints: [endpoint] })
        for (let i = 0; i < 5; i++) yield* etcd.put("c", utf8(String(i)))
        const { revision } = yield* etcd.get({ key: "c" })
        yield* run("etcdctl", `--endpoints=${endpoint}`, "compact", String(revision))
        const error = yield* Effect.flip(Stream.runDrain(etcd.watch({ key: "c" }, 1n)))
        assert.match(error.message, /compacted up to revision/)
      }).pipe(Effect.scoped)
    )
    it.effect("a lease that is gone ends what keeps it, and its keys", () =>
      Effect.gen(function* () {
        const etcd = yield* client({ endpoints: [(yield* EtcdServer).endpoint] })
        const lease = yield* etcd.grant(60)
        yield* etcd.put("l", utf8("x"), lease)
        assert.isFalse(yield* etcd.putIfAbsent("l", utf8("y"), lease))
        const error = yield* Effect.flip(etcd.keepAlive(lease, "20 millis", etcd.revoke(lease)))
        assert.match(error.message, /the lease is gone/)
        assert.deepStrictEqual((yield* etcd.get({ key: "l" })).entries, [])
      }).pipe(Effect.scoped)
    )
    it.effect("one of several endpoints may be down", () =>
      Effect.gen(function* () {
        const { endpoint } = yield* EtcdServer
        const etcd = yield* client({ endpoints: [`127.0.0.1:${yield* Daemon.freePort}`, `http://${endpoint}`] })
        for (let i = 0; i < 5; i++) yield* etcd.put("e", utf8(String(i)))
      }).pipe(Effect.scoped)
    )
    it.effect("a server that does not answer is a typed error, in time", () =>
      Effect.gen(function* () {
        const { daemon, endpoint } = yield* EtcdServer
        const etcd = yield* client({ endpoints: [endpoint], timeout: "300 millis" })
        yield* etcd.put("t", utf8("1"))
        yield* Effect.acquireRelease(daemon.pause, () => daemon.resume)
        const error = yield* Effect.flip(etcd.put("t", utf8("2")))
        assert.strictEqual(error._tag, "EtcdError")
        assert.match(error.message, /^etcd: Put: no answer within 300ms/)
      }).pipe(Effect.scoped)
    )
  })

  it.live.skipIf(noControl !== undefined)(title("names and passwords; a token that has expired is asked for anew", noControl), () =>
    Effect.gen(function* () {
      const { endpoint } = yield* make(["--auth-token-ttl", "1"])
      const control = (...args: ReadonlyArray<string>) => run("etcdctl", `--endpoints=${endpoint}`, ...args)
      yield* control("user", "add", "root:hunter2")
      yield* control("user", "grant-role", "root", "root")
      yield* control("auth", "enable")
      const endpoints = [endpoint]
      const password = Redacted.make("hunter2")

      const nobody = yield* Effect.flip(Effect.flatMap(client({ endpoints }), (etcd) => etcd.get({ key: "a" })))
      assert.match(nobody.message, /^etcd: Range: .*user name is empty/)
      const wrong = yield* Effect.flip(
        Effect.flatMap(client({ endpoints, username: "root", password: Redacted.make("hunter3") }), (etcd) => etcd.get({ key: "a" }))
      )
      assert.match(wrong.message, /authentication failed/)
      assert.notMatch(`${wrong.message} ${JSON.stringify(wrong)}`, /hunter/)

      const etcd = yield* client({ endpoints, username: "root", password })
      const watcher = yield* client({ endpoints, username: "root", password })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const changes = yield* Stream.toPull(watcher.watch({ key: "a" }, 0n))
          yield* changes
          yield* etcd.put("a", utf8("1"))
          assert.deepStrictEqual(yield* changes, [[{ key: "a", deleted: false }]])
        })
      )
      yield* Effect.sleep("2500 millis") // etcd's own clock: the token is gone by now
      yield* etcd.put("a", utf8("2"))
      assert.strictEqual((yield* etcd.get({ key: "a" })).entries.length, 1)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  const noOpenssl = Daemon.missing("openssl")
  it.live.skipIf(noOpenssl !== undefined)(title("TLS with certificates on both sides", noOpenssl), () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped({ prefix: "etcd-tls-" })
      const at = (name: string) => `${folder}/${name}`
      yield* run(
        "openssl",
        ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-ca".split(" "),
        "-keyout",
        at("ca.key"),
        "-out",
        at("ca.pem")
      )
      yield* fs.writeFileString(at("ext"), "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
      yield* run(
        "openssl",
        ..."req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=test".split(" "),
        "-keyout",
        at("key.pem"),
        "-out",
        at("csr")
      )
      yield* run(
        "openssl",
        "x509",
        "-req",
        "-days",
        "2",
        "-in",
        at("csr"),
        "-CA",
        at("ca.pem"),
        "-CAkey",
        at("ca.key"),
        "-CAcreateserial",
        "-extfile",
        at("ext"),
        "-out",
        at("cert.pem")
      )
      const { port } = yield* make([
        "--cert-file",
        at("cert.pem"),
        "--key-file",
        at("key.pem"),
        "--trusted-ca-file",
        at("ca.pem"),
        "--client-cert-auth"
      ])
      const endpoints = [`https://127.0.0.1:${port}`]
      const etcd = yield* client({ endpoints, tls: { ca: at("ca.pem"), cert: at("cert.pem"), key: at("key.pem") } })
      yield* etcd.put("a", utf8("1"))
      const stranger = yield* Effect.flip(
        Effect.flatMap(client({ endpoints, tls: { ca: at("ca.pem") }, timeout: "3 seconds" }), (etcd) => etcd.get({ key: "a" }))
      )
      assert.strictEqual(stranger._tag, "EtcdError")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})
