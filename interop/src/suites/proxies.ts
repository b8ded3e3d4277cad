/** Proxies between our server and clients: the call set of the peers through each, by our client and others; REST, Connect and gRPC-Web where they speak HTTP/1.1. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Certificates from "../Certificates.ts"
import * as HttpCases from "../HttpCases.ts"
import * as Peers from "../Peers.ts"
import * as Program from "../Program.ts"
import * as Proxies from "../Proxies.ts"
import * as Results from "../Results.ts"
import * as Suite from "./Suite.ts"

/** What fails through a proxy before anybody's server: proxy, client, case, and why. */
const lacks: Readonly<Record<string, string>> = {
  "haproxy python oversize":
    "behind a reply that came before the request was complete, haproxy resets the stream with CANCEL, which the C core takes for the status, grpc-go's server or ours"
}

const calls = (proxy: Proxies.Proxy, client: Peers.Peer, secure: boolean): Stream.Stream<Suite.CaseResult, unknown> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const certificate = secure ? yield* Certificates.make : undefined
      const secrets = certificate === undefined ? [] : [certificate.cert, certificate.key]
      const server = yield* Program.serve([...Peers.find("ours").server, ...secrets])
      const port = yield* proxy.serve("grpc", server, certificate)
      const trust = certificate === undefined ? [] : [`--ca=${certificate.cert}`]
      const { code, stderr, stdout } = yield* Program.run([...client.client, `127.0.0.1:${port}`, ...trust], { seconds: 120 })
      const results = [...Results.parse(stdout)].map(([name, result]): Suite.CaseResult => {
        const why = lacks[`${proxy.name} ${client.name} ${name}`]
        return result.outcome === "FAIL" && why !== undefined ? Suite.skip(name, why) : { name, outcome: result.outcome, why: result.why }
      })
      const crashed = code === 0 || code === 1 ? [] : [Suite.fail("client", `ended with ${code}: ${stderr.slice(-500)}`)]
      return Stream.fromIterable([...results, ...crashed])
    })
  )

const http = (proxy: Proxies.Proxy): Stream.Stream<Suite.CaseResult, unknown> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const server = yield* Program.serve(Peers.find("ours").server)
      const port = yield* proxy.serve("http", server)
      return Stream.mapEffect(Stream.fromIterable(Object.entries(HttpCases.cases(`http://127.0.0.1:${port}`))), ([name, run]) =>
        Suite.attempt(name, run)
      )
    })
  )

export const suite: Suite.Suite = {
  name: "proxies",
  about: "nginx, haproxy and nghttpx between our server and clients",
  parts: Proxies.all.flatMap((proxy) =>
    (["ours", "go", "python"] as const)
      .map((name): Suite.Part => {
        const client = Peers.find(name)
        return {
          name: `${proxy.name}, gRPC, ${name === "ours" ? "our client" : `the client of ${name}`}`,
          missing: () => proxy.missing() ?? client.missing,
          run: calls(proxy, client, false),
          seconds: 200
        }
      })
      .concat(
        {
          name: `${proxy.name}, gRPC over TLS, our client`,
          missing: () => proxy.missing() ?? Program.missing("openssl")(),
          run: calls(proxy, Peers.find("ours"), true),
          seconds: 200
        },
        { name: `${proxy.name}, HTTP/1.1`, missing: proxy.missing, run: http(proxy), seconds: 200 }
      )
  )
}
