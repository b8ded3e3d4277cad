import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as PodInstance from "../src/PodInstance.ts"

interface Port {
  readonly containerPort: number
  readonly name?: string
  readonly protocol?: string
}
const pod = (props: {
  readonly name?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ports?: ReadonlyArray<Port>
  readonly ip?: string
  readonly deleted?: string
  readonly phase?: string
  readonly conditions?: ReadonlyArray<{ readonly type: string; readonly status: string }>
}): PodInstance.Pod => ({
  metadata: {
    name: props.name ?? "hello-0",
    namespace: "shop",
    deletionTimestamp: props.deleted,
    labels: props.labels ?? { "kratos-service-id": "7f3", "kratos-service-app": "hello", "kratos-service-version": "v1" },
    annotations: props.annotations
  },
  spec: { containers: [{ ports: null }, { ports: props.ports ?? [] }] },
  status: { phase: props.phase ?? "Running", podIP: props.ip ?? "10.0.0.1", conditions: props.conditions }
})
const instance = (props: Partial<ServiceInstance.ServiceInstance>) =>
  ServiceInstance.make({ id: "7f3", name: "hello", version: "v1", ...props })

describe("PodInstance", () => {
  it.effect("is written as Kratos writes it", () =>
    Effect.gen(function* () {
      const { annotations, labels } = yield* PodInstance.encode(
        instance({ metadata: { zone: "b", "<a>": "&\u2028" }, endpoints: ["grpc://10.0.0.1:9000", "http://10.0.0.1:8000?isSecure=false"] })
      )
      assert.deepStrictEqual(labels, { "kratos-service-id": "7f3", "kratos-service-app": "hello", "kratos-service-version": "v1" })
      assert.deepStrictEqual(annotations, {
        "kratos-service-metadata": '{"\\u003ca\\u003e":"\\u0026\\u2028","zone":"b"}',
        "kratos-service-protocols": '{"8000":"http","9000":"grpc"}'
      })
      const bare = yield* PodInstance.encode(instance({ version: "" }))
      assert.deepStrictEqual(bare.annotations, { "kratos-service-metadata": "null", "kratos-service-protocols": "{}" })
      assert.strictEqual(bare.labels["kratos-service-version"], "")
    })
  )
  it.effect("refuses for good what no label can hold, and what is no endpoint", () =>
    Effect.gen(function* () {
      const refused: ReadonlyArray<Partial<ServiceInstance.ServiceInstance>> = [
        { name: "two words" },
        { name: "" },
        { id: "" },
        { id: "a/b" },
        { id: "x".repeat(64) },
        { version: "1.0.0+build" },
        { version: "-1" },
        { endpoints: ["nowhere"] }
      ]
      for (const props of refused) {
        const error = yield* Effect.flip(PodInstance.encode(instance(props)))
        assert.deepStrictEqual([error._tag, error.permanent], ["RegistryError", true], JSON.stringify(props))
      }
      for (const text of ["", "a", "a.B_c-0", "x".repeat(63)]) assert.isTrue(PodInstance.isLabelValue(text), text)
    })
  )
  it.effect("is read with the scheme of the annotation, else the port's name to its first dash, else its protocol", () =>
    Effect.gen(function* () {
      const ports = [
        { containerPort: 8000, name: "web" },
        { containerPort: 9000, name: "grpc-main" },
        { containerPort: 53, protocol: "UDP" },
        { containerPort: 54 }
      ]
      const annotations = { "kratos-service-protocols": '{"8000": "http"}', "kratos-service-metadata": '{"region":"sh", "weight":"5"}\n' }
      assert.deepStrictEqual(
        yield* PodInstance.decode(pod({ annotations, ports })),
        instance({
          metadata: { region: "sh", weight: "5" },
          endpoints: ["http://10.0.0.1:8000", "grpc://10.0.0.1:9000", "UDP://10.0.0.1:53", "TCP://10.0.0.1:54"]
        })
      )
      // Kratos forgets the brackets, and nobody can call that
      const { endpoints } = yield* PodInstance.decode(pod({ ip: "fd00::1", annotations, ports: [{ containerPort: 8000 }] }))
      assert.deepStrictEqual(endpoints, ["http://[fd00::1]:8000"])
    })
  )
  it.effect("takes for empty what Kratos takes for empty, and fails for what is no object of texts", () =>
    Effect.gen(function* () {
      for (const text of ["", "{}", "null", "nil", "[]"]) {
        const found = yield* PodInstance.decode(pod({ annotations: { "kratos-service-metadata": text, "kratos-service-protocols": text } }))
        assert.deepStrictEqual(found, instance({}))
      }
      for (const text of ["{", "1", '{"a":1}', '["a"]', "true"]) {
        yield* Effect.flip(PodInstance.decode(pod({ annotations: { "kratos-service-metadata": text } })))
      }
    })
  )
  it("callers are sent to pods that run and are not being deleted; readiness counts when it is asked for", () => {
    const ready = (status: string) => [{ type: "Ready", status }]
    const cases: ReadonlyArray<readonly [PodInstance.Pod, boolean, boolean]> = [
      [pod({ conditions: ready("True") }), true, true],
      [pod({ conditions: ready("False") }), true, false],
      [pod({}), true, false],
      [pod({ phase: "Pending", conditions: ready("True") }), false, false],
      [pod({ ip: "", conditions: ready("True") }), false, false],
      [pod({ deleted: "2026-01-01T00:00:00Z", conditions: ready("True") }), false, false]
    ]
    for (const [one, asKratos, strict] of cases) {
      assert.deepStrictEqual([PodInstance.isCallable(one, false), PodInstance.isCallable(one, true)], [asKratos, strict])
    }
  })
  it("pods that share an id, or have none, are told apart", () => {
    const found = (name: string, id: string) => [pod({ name }), instance({ id })] as const
    const ids = PodInstance.distinct([found("c", "x"), found("b", "y"), found("a", "x"), found("d", "")]).map(({ id }) => id)
    assert.deepStrictEqual(ids, ["shop/d", "x@shop/a", "x@shop/c", "y"])
  })
  it("knows the ports that nobody will see", () => {
    const endpoints = ["http://10.0.0.1:8000", "grpc://10.0.0.1:9000"]
    assert.deepStrictEqual(PodInstance.undeclared(pod({ ports: [{ containerPort: 8000 }] }), instance({ endpoints })), [9000])
  })
})
