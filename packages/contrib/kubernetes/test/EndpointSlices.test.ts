import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as EndpointSlices from "../src/EndpointSlices.ts"

const decode = Schema.decodeUnknownSync(EndpointSlices.EndpointSlice)
const slice = (props: { readonly addressType?: string; readonly endpoints?: unknown; readonly ports?: unknown }) =>
  decode({ metadata: { name: "s" }, addressType: "IPv4", endpoints: null, ports: [{ name: "grpc", port: 9000 }], ...props })
const at = (...addresses: ReadonlyArray<string>) => ({ addresses })
const pod = (name: string) => ({ targetRef: { kind: "Pod", name } })
const endpointsOf = (slices: ReadonlyArray<EndpointSlices.EndpointSlice>, schemes?: Readonly<Record<string, string>>) =>
  Object.fromEntries(EndpointSlices.decode("shop", slices, schemes).map(({ endpoints, id }) => [id, endpoints]))

describe("EndpointSlices", () => {
  it("lists what is ready or says nothing of it; what terminates or does not serve is left out", () => {
    const conditions: ReadonlyArray<readonly [unknown, boolean]> = [
      [undefined, true],
      [null, true],
      [{}, true],
      [{ ready: null, serving: null, terminating: null }, true],
      [{ ready: true }, true],
      [{ ready: false }, false],
      [{ ready: true, serving: false }, false],
      [{ ready: true, serving: true, terminating: true }, false],
      [{ ready: false, serving: true, terminating: true }, false]
    ]
    for (const [condition, listed] of conditions) {
      const found = EndpointSlices.decode("shop", [slice({ endpoints: [{ ...at("10.0.0.1"), conditions: condition }] })])
      assert.lengthOf(found, listed ? 1 : 0, JSON.stringify(condition))
    }
  })
  it("one pod is one instance, over slices of several ports and of both families, IPv4 first", () => {
    assert.deepStrictEqual(
      endpointsOf([
        slice({ addressType: "IPv6", endpoints: [{ ...at("fd00::1"), ...pod("p0") }] }),
        slice({ endpoints: [{ ...at("10.0.0.1", "10.0.0.9"), ...pod("p0") }, at("10.0.0.2"), { addresses: [] }] }),
        slice({ endpoints: [{ ...at("10.0.0.1"), ...pod("p0") }], ports: [{ name: "http", port: 8000 }] }),
        slice({ addressType: "FQDN", endpoints: [at("db.example.com")], ports: [{ name: "https", port: 443 }] }),
        slice({}),
        slice({ endpoints: [at("10.0.0.3")], ports: null })
      ]),
      {
        "10.0.0.2": ["grpc://10.0.0.2:9000"],
        "10.0.0.3": [],
        "db.example.com": ["https://db.example.com:443"],
        p0: ["grpc://10.0.0.1:9000", "http://10.0.0.1:8000", "grpc://[fd00::1]:9000"]
      }
    )
  })
  it("the scheme is what is said of a port, else its protocol for applications, else its name to the first dash", () => {
    const ports: ReadonlyArray<readonly [Record<string, unknown>, string]> = [
      [{ name: "grpc-main" }, "grpc"],
      [{ name: "http" }, "http"],
      [{ name: "web", appProtocol: "https" }, "https"],
      [{ name: "http", appProtocol: "GRPC" }, "grpc"],
      [{ name: "a", appProtocol: "kubernetes.io/h2c" }, "grpc"],
      [{ name: "a", appProtocol: "kubernetes.io/wss" }, "https"],
      [{ name: "metrics" }, "http"],
      [{ name: "" }, "tcp"],
      [{ name: null, protocol: "UDP" }, "udp"]
    ]
    for (const [port, scheme] of ports) {
      const found = endpointsOf([slice({ endpoints: [at("10.0.0.1")], ports: [{ port: 80, ...port }] })], { metrics: "http" })
      assert.deepStrictEqual(found, { "10.0.0.1": [`${scheme}://10.0.0.1:80`] }, JSON.stringify(port))
    }
    assert.deepStrictEqual(endpointsOf([slice({ endpoints: [at("10.0.0.1")], ports: [{ port: 80 }] })], { "": "http" }), {
      "10.0.0.1": ["http://10.0.0.1:80"]
    })
  })
  it("where an endpoint is, is in the metadata, for filters by zone", () => {
    const [found] = EndpointSlices.decode("shop", [
      slice({ endpoints: [{ ...at("10.0.0.1"), zone: "eu-1a", nodeName: "n1", hostname: "shop-0" }] })
    ])
    assert.deepStrictEqual(found?.metadata, { zone: "eu-1a", node: "n1", hostname: "shop-0" })
  })
})
