/** The client against a real ZooKeeper: nodes, watches, servers that hang or are down, certificates. */
import * as Daemon from "@effect-kratos/testing/Daemon"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { execFile } from "node:child_process"
import * as Zookeeper from "../src/Zookeeper.ts"
import { layer, make, skip, ZookeeperServer } from "./ZookeeperServer.ts"

const utf8 = (text: string) => new TextEncoder().encode(text)
const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes)
const client = (options: Zookeeper.Options) =>
  Effect.map(Layer.build(Layer.fresh(Zookeeper.layer(options))), (context) => Context.get(context, Zookeeper.Zookeeper))
const title = (text: string, skip: string | undefined) => `${text}${skip === undefined ? "" : ` (skipped: ${skip})`}`
const reason = <A, E extends { readonly reason: unknown }>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

const openssl = (folder: string, line: string) =>
  Effect.callback<void>((resume) => {
    execFile("openssl", line.replaceAll("@", `${folder}/`).split(" "), (error, _, stderr) =>
      resume(error === null ? Effect.void : Effect.die(new Error(`openssl ${line}: ${stderr}`)))
    )
  })

describe.skipIf(skip !== undefined)(title("zookeeper client", skip), () => {
  it.layer(layer, { excludeTestServices: true, timeout: "1 minute" })((it) => {
    it.effect("nodes come, change hands and go; what cannot be is a typed error", () =>
      Effect.gen(function* () {
        const zookeeper = yield* client({ endpoints: [(yield* ZookeeperServer).endpoint] })
        assert.isUndefined(yield* zookeeper.get("/n"))
        assert.isUndefined(yield* zookeeper.children("/n"))
        assert.isUndefined(yield* zookeeper.exists("/n"))
        assert.isFalse(yield* zookeeper.remove("/n"))
        yield* zookeeper.create("/n", utf8("1"))
        assert.strictEqual(yield* reason(zookeeper.create("/n", utf8("2"))), "NodeExists")
        assert.strictEqual(yield* reason(zookeeper.create("/m/n", utf8("2"))), "NoNode")
        assert.strictEqual(yield* reason(zookeeper.create("n", utf8("2"))), "BadArguments")
        yield* zookeeper.create("/n/e", utf8("ü"), { ephemeral: true })
        assert.strictEqual(yield* reason(zookeeper.create("/n/e/x", utf8("2"))), "NoChildrenForEphemerals")
        assert.strictEqual(yield* reason(zookeeper.remove("/n")), "NotEmpty")
        assert.deepStrictEqual(yield* zookeeper.children("/n"), ["e"])
        const entry = yield* zookeeper.get("/n/e")
        assert.strictEqual(text(entry?.data), "ü")
        assert.strictEqual(entry?.stat.ephemeralOwner, yield* zookeeper.session)

        assert.strictEqual(yield* reason(zookeeper.replace("/n/e", 1, utf8("2"))), "BadVersion")
        assert.strictEqual(yield* reason(zookeeper.replace("/n/f", 0, utf8("2"))), "NoNode")
        yield* zookeeper.replace("/n/e", 0, utf8("2"))
        const replaced = yield* zookeeper.get("/n/e")
        assert.deepStrictEqual([text(replaced?.data), replaced?.stat.ephemeralOwner], ["2", 0n])
        assert.isTrue(yield* zookeeper.remove("/n/e", 0))
      }).pipe(Effect.scoped)
    )
    it.effect("watches tell each change once, and nothing to those who have gone", () =>
      Effect.gen(function* () {
        const zookeeper = yield* client({ endpoints: [(yield* ZookeeperServer).endpoint] })
        const told = yield* Queue.unbounded<string | undefined>()
        const watcher = yield* zookeeper.watcher((path) => void Queue.offerUnsafe(told, path))
        yield* Effect.scoped(
          Effect.gen(function* () {
            const gone = yield* zookeeper.watcher(() => void Queue.offerUnsafe(told, "gone"))
            yield* zookeeper.exists("/w", gone)
          })
        )
        yield* zookeeper.exists("/w", watcher)
        yield* zookeeper.create("/w", utf8("1"))
        assert.strictEqual(yield* Queue.take(told), "/w")
        yield* zookeeper.children("/w", watcher)
        yield* zookeeper.create("/w/a", utf8("1"))
        assert.strictEqual(yield* Queue.take(told), "/w")
        yield* zookeeper.get("/w/a", watcher)
        yield* zookeeper.remove("/w/a")
        assert.strictEqual(yield* Queue.take(told), "/w/a")
        assert.strictEqual(yield* Queue.size(told), 0)
      }).pipe(Effect.scoped)
    )
    it.effect("a session that is closed takes away at once what was ephemeral in it", () =>
      Effect.gen(function* () {
        const { endpoint } = yield* ZookeeperServer
        const zookeeper = yield* client({ endpoints: [endpoint] })
        yield* Effect.scoped(
          Effect.gen(function* () {
            const other = yield* client({ endpoints: [endpoint], sessionTimeout: "10 seconds" })
            yield* other.create("/closes", utf8("1"), { ephemeral: true })
            assert.isDefined(yield* zookeeper.exists("/closes"))
          })
        )
        assert.isUndefined(yield* zookeeper.exists("/closes"))
      }).pipe(Effect.scoped)
    )
    it.effect("servers may be down as long as one is not", () =>
      Effect.gen(function* () {
        const { endpoint } = yield* ZookeeperServer
        const dead = [`127.0.0.1:${yield* Daemon.freePort}`, `[::1]:${yield* Daemon.freePort}`, "not an address"]
        for (let i = 0; i < 3; i++) yield* Effect.flatMap(client({ endpoints: [...dead, endpoint] }), ({ session }) => session)
        const none = yield* client({ endpoints: dead.slice(0, 1), timeout: "200 millis" })
        const error = yield* Effect.flip(none.get("/a"))
        assert.strictEqual(error.reason, "ConnectionLoss")
        assert.match(error.message, /^zookeeper: get \/a: no connection within 200ms: .*connection refused/)
      }).pipe(Effect.scoped)
    )
    it.effect("a server that hangs is a typed error, in time, and no longer when it wakes up", () =>
      Effect.gen(function* () {
        const { daemon, endpoint } = yield* ZookeeperServer
        const zookeeper = yield* client({
          endpoints: [endpoint],
          timeout: "300 millis",
          connectTimeout: "500 millis",
          sessionTimeout: "3 seconds"
        })
        const lost = yield* Queue.unbounded<string | undefined>()
        yield* zookeeper.exists("/hangs", yield* zookeeper.watcher((path) => void Queue.offerUnsafe(lost, path)))
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* Effect.acquireRelease(daemon.pause, () => daemon.resume)
            const error = yield* Effect.flip(zookeeper.get("/a"))
            assert.match(error.message, /^zookeeper: get \/a: no answer within 300ms/)
            // two thirds of the session's time
            assert.isUndefined(yield* Queue.take(lost))
          })
        )
        yield* Effect.retry(zookeeper.get("/a"), { times: 20 })
      }).pipe(Effect.scoped)
    )
    it.effect("more than a message may hold is a typed error", () =>
      Effect.gen(function* () {
        const { endpoint } = yield* ZookeeperServer
        const zookeeper = yield* client({ endpoints: [endpoint] })
        yield* zookeeper.create("/large", new Uint8Array(10_000))
        const small = yield* client({ endpoints: [endpoint], maxFrameBytes: 5000 })
        const error = yield* Effect.flip(small.get("/large"))
        assert.strictEqual(error.reason, "Protocol")
        assert.match(error.message, /a frame of \d+ octets, 5000 at most/)
        assert.strictEqual((yield* zookeeper.get("/large"))?.data.length, 10_000)
      }).pipe(Effect.scoped)
    )
  })

  const noOpenssl = Daemon.missing("openssl")
  it.live.skipIf(noOpenssl !== undefined)(
    title("TLS with certificates on both sides", noOpenssl),
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* fs.makeTempDirectoryScoped({ prefix: "zookeeper-tls-" })
        yield* fs.writeFileString(`${folder}/ext`, "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
        yield* openssl(
          folder,
          "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca -keyout @ca.key -out @ca.pem"
        )
        yield* openssl(folder, "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=test -keyout @key.pem -out @csr")
        yield* openssl(folder, "x509 -req -days 2 -in @csr -CA @ca.pem -CAkey @ca.key -CAcreateserial -extfile @ext -out @cert.pem")
        const [cert, key] = [yield* fs.readFileString(`${folder}/cert.pem`), yield* fs.readFileString(`${folder}/key.pem`)]
        yield* fs.writeFileString(`${folder}/both.pem`, cert + key)
        const securePort = yield* Daemon.freePort
        yield* make(
          {
            secureClientPort: securePort,
            secureClientPortAddress: "127.0.0.1",
            serverCnxnFactory: "org.apache.zookeeper.server.NettyServerCnxnFactory",
            "ssl.keyStore.location": `${folder}/both.pem`,
            "ssl.keyStore.type": "PEM",
            "ssl.trustStore.location": `${folder}/ca.pem`,
            "ssl.trustStore.type": "PEM",
            "ssl.hostnameVerification": "false"
          },
          { classpath: "/usr/share/java/netty-codec.jar:/usr/share/java/netty-resolver.jar" }
        )
        const endpoints = [`127.0.0.1:${securePort}`]
        const ca = `${folder}/ca.pem`
        const zookeeper = yield* client({ endpoints, tls: { ca, cert: `${folder}/cert.pem`, key: `${folder}/key.pem` } })
        yield* zookeeper.create("/secure", utf8("1"))
        assert.strictEqual(text((yield* zookeeper.get("/secure"))?.data), "1")
        const unknown = yield* client({
          endpoints,
          tls: { cert: `${folder}/cert.pem`, key: `${folder}/key.pem` },
          timeout: "2 seconds"
        })
        assert.match((yield* Effect.flip(unknown.get("/secure"))).message, /nobody whom we trust vouches/)
        const stranger = yield* client({ endpoints, tls: { ca }, timeout: "2 seconds" })
        assert.strictEqual(yield* reason(stranger.get("/secure")), "ConnectionLoss")
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    60_000
  )
})
