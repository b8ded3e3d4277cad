/** What an API server of Kubernetes says: lists, watches, and the objects in them; and files that say where one is. */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Cluster from "../../../packages/contrib/kubernetes/src/Cluster.ts"
import * as EndpointSlices from "../../../packages/contrib/kubernetes/src/EndpointSlices.ts"
import * as Kubeconfig from "../../../packages/contrib/kubernetes/src/Kubeconfig.ts"
import * as Kubernetes from "../../../packages/contrib/kubernetes/src/Kubernetes.ts"
import { KubernetesError } from "../../../packages/contrib/kubernetes/src/KubernetesError.ts"
import * as PodInstance from "../../../packages/contrib/kubernetes/src/PodInstance.ts"
import { mutate } from "../Mutation.ts"
import type { Random } from "../Random.ts"
import { bytesOf, holds, type Target } from "../Target.ts"

const MAX = 20_000
const WORDS = [
  '"metadata":',
  '"resourceVersion":"',
  '"items":null',
  "null",
  "{}",
  "[]",
  '"BOOKMARK"',
  '"ERROR"',
  '"code":410',
  "\n",
  "\\u0000"
]

const meta = (random: Random) => ({
  name: random.pick(["a", "b", "c"]),
  namespace: random.pick(["shop", undefined]),
  resourceVersion: String(random.below(99)),
  deletionTimestamp: random.pick([null, undefined, "2026-01-01T00:00:00Z"])
})
const pod = (random: Random) => ({
  metadata: {
    ...meta(random),
    labels: random.pick([null, { "kratos-service-id": "1", "kratos-service-app": "a" }]),
    annotations: random.pick([undefined, { "kratos-service-metadata": '{"a":"b"}', "kratos-service-protocols": '{"8000":"http"}' }])
  },
  spec: { containers: [{ ports: random.pick([null, [{ containerPort: 8000, name: "http-main" }, { containerPort: 9 }]]) }] },
  status: random.pick([undefined, { phase: "Running", podIP: random.pick(["10.0.0.1", "fd00::1"]) }])
})
const slice = (random: Random) => ({
  metadata: meta(random),
  addressType: random.pick(["IPv4", "IPv6", "FQDN"]),
  endpoints: random.pick([
    null,
    [{ addresses: ["10.0.0.1"], conditions: random.pick([null, { ready: true, terminating: false }]), zone: "a" }]
  ]),
  ports: random.pick([null, [{ name: "grpc", port: 9000, appProtocol: null }]])
})
const said = (random: Random): string => {
  const object = random.pick([pod, slice])
  const some = Array.from({ length: random.below(5) }, () => object(random))
  const list = JSON.stringify({ metadata: { resourceVersion: "5" }, items: some })
  const events = some.map((one) => JSON.stringify({ type: random.pick(["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]), object: one }))
  const kubeconfig = `current-context: a\ncontexts:\n- name: a\n  context: {cluster: a, user: a}\nclusters:\n- name: a\n  cluster: {server: "https://a"}\n`
  return random.pick([list, `${events.join("\n")}\n`, kubeconfig])
}

/** What comes of these parts as a reply, whole and as a watch, down to the instances. */
const read = (parts: ReadonlyArray<Uint8Array>, status: number) =>
  Effect.gen(function* () {
    const body = () =>
      new ReadableStream<Uint8Array>({
        start: (controller) => {
          for (const part of parts) controller.enqueue(part)
          controller.close()
        }
      })
    const http = HttpClient.make((request) => Effect.sync(() => HttpClientResponse.fromWeb(request, new Response(body(), { status }))))
    const client = yield* Effect.provideService(
      Kubernetes.make(Cluster.make({ server: "https://a" }), { maxReply: MAX, maxEvent: MAX }),
      HttpClient.HttpClient,
      http
    )
    const results: Array<unknown> = []
    const keep = (result: Result.Result<unknown, unknown>): void => {
      if (Result.isFailure(result)) holds(result.failure instanceof KubernetesError, () => `failed with ${String(result.failure)}`)
      results.push(Result.isFailure(result) ? String(result.failure) : result.success)
    }
    const both = <S extends Schema.Codec<unknown, unknown>>(resource: Kubernetes.Resource<S>) =>
      Effect.gen(function* () {
        const list = yield* Effect.result(client.list(resource))
        keep(list)
        const seen: Array<unknown> = []
        const watched = client.watch(resource, "5").pipe(Stream.runForEach((event) => Effect.sync(() => void seen.push(event))))
        keep(yield* Effect.result(watched))
        results.push(seen)
        return Result.isSuccess(list) ? list.success.items.map(({ value }) => value) : []
      })
    for (const pod of yield* both({ path: "/pods", schema: PodInstance.Pod })) yield* Effect.ignore(PodInstance.decode(pod))
    const found = EndpointSlices.decode("a", yield* both({ path: "/slices", schema: EndpointSlices.EndpointSlice }))
    holds(new Set(found.map(({ id }) => id)).size === found.length, () => "an id twice")
    return JSON.stringify(results)
  })

export const kubernetes: Target = {
  name: "kubernetes",
  share: 0.1,
  law: "whatever a server says comes to values or a typed failure, and to the same in any cut; a kubeconfig likewise",
  make: (random) => String.fromCharCode(random.below(256)) + mutate(random, said(random), WORDS, 3),
  run: async (input) => {
    const bytes = bytesOf(input.slice(1))
    const [size, status] = [1 + (input.charCodeAt(0) % 40), input.charCodeAt(0) % 8 === 0 ? 410 : 200]
    const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
    const whole = await Effect.runPromise(read([bytes], status))
    holds(whole === (await Effect.runPromise(read(parts, status))), () => `something else in parts of ${size}`)
    await Effect.runPromise(
      Kubeconfig.parse(bytes.toString()).pipe(
        Effect.flatMap((config) => Kubeconfig.select([{ config, at: (path) => path }], undefined)),
        Effect.ignore
      )
    )
  }
}
