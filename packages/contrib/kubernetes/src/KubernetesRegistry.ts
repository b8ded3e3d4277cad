/**
 * The registry on pods: what it writes is what Kratos writes, and it reads what Kratos writes. An instance is the pod that it runs in; its labels say id, name
 * and version, its annotations metadata and the schemes of its ports. Readers see the ports that the pod's containers declare.
 */
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as Registration from "@effect-kratos/core/registry/Registration"
import { RegistryError } from "@effect-kratos/core/registry/RegistryError"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as Watch from "@effect-kratos/core/registry/Watch"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Kubernetes from "./Kubernetes.ts"
import { KubernetesError } from "./KubernetesError.ts"
import * as PodInstance from "./PodInstance.ts"
import * as Reflector from "./Reflector.ts"

export interface Options {
  /** Where pods are looked for; the empty text is everywhere. Default: the program's own. */
  readonly namespace?: string | undefined
  /** The pod that the program runs in. Default: `$POD_NAME`, or `$HOSTNAME`, which pods on the host's network need not have right. */
  readonly pod?: string | undefined
  /** Lists pods only while they are ready. Default false, as Kratos: an instance that has registered says itself that it can be called. */
  readonly ready?: boolean | undefined
}

/** On a `Kubernetes` that others may share, the config for example. */
export const layerKubernetes = (options: Options = {}): Layer.Layer<Registrar | Discovery, never, Kubernetes.Kubernetes> =>
  Layer.effectContext(make(options))

export const layer = (options: Kubernetes.Options & Options = {}): Layer.Layer<Registrar | Discovery, KubernetesError> =>
  Layer.provide(layerKubernetes(options), Kubernetes.layer(options))

export const layerConfig = (
  config: Config.Wrap<Kubernetes.Limits & Options>
): Layer.Layer<Registrar | Discovery, Config.ConfigError | KubernetesError> => Layer.unwrap(Effect.map(Config.unwrap(config), layer))

type Instances = ReadonlyArray<ServiceInstance.ServiceInstance>

/** Pods whose trouble was told of; more than these are told again. */
const MAX_WARNED = 1024

const make = Effect.fnUntraced(function* (options: Options) {
  const { ready = false } = options
  const kubernetes = yield* Kubernetes.Kubernetes
  const namespace = options.namespace ?? kubernetes.namespace
  /** Whether the server can be asked again: it refuses for good what is wrong in the request, or forbidden. */
  const fail = (method: string) => (cause: unknown) =>
    new RegistryError({
      method,
      cause,
      ...(cause instanceof KubernetesError && (cause.status === 400 || cause.status === 422) ? { permanent: true } : {})
    })

  const own = options.pod === undefined ? ownPod : Effect.succeed(options.pod)
  const pods = (namespace: string) => (namespace === "" ? "/api/v1/pods" : `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`)

  /** Who registered last: a pod is one instance, and the end of an earlier registration must not take a later one away. */
  let owner: object | undefined

  const register = Effect.fnUntraced(function* (instance: ServiceInstance.ServiceInstance) {
    // what readers would refuse is refused here
    yield* Effect.mapError(ServiceInstance.decode(ServiceInstance.encode(instance)), fail("register"))
    const marks = yield* PodInstance.encode(instance)
    const pod = yield* own
    const path = `${pods(kubernetes.namespace)}/${encodeURIComponent(pod)}`
    const name = `${ServiceInstance.member(instance)} on pod ${kubernetes.namespace}/${pod}`
    const patch = <S extends Schema.Codec<unknown, unknown>>(marks: PodInstance.Marks, schema: S) =>
      settled(
        kubernetes.call({
          operation: `patch pod ${kubernetes.namespace}/${pod}`,
          method: "PATCH",
          path,
          contentType: "application/strategic-merge-patch+json",
          body: { metadata: marks },
          schema
        })
      )
    const self = {}
    let first = true
    const acquire = Effect.gen(function* () {
      if (!first && owner !== self) return
      const found = yield* patch(marks, PodInstance.Pod)
      if (first) {
        const ports = PodInstance.undeclared(found, instance)
        if (ports.length > 0) yield* Effect.logWarning(`${name}: no container declares port ${ports.join(", ")}; nobody will see it`)
      }
      first = false
      owner = self
    })
    /** Ends when somebody has taken the labels away. An API server that is away takes away nothing. */
    const lost = Stream.suspend(() =>
      Reflector.follow(kubernetes, { path: pods(kubernetes.namespace), schema: PodInstance.Pod, fieldSelector: `metadata.name=${pod}` })
    ).pipe(
      Stream.takeWhile(([found]) => owner !== self || (found !== undefined && PodInstance.has(found, marks))),
      Stream.runDrain,
      Effect.tapError((error) => Effect.logDebug(`${name}: cannot be watched`, error)),
      Effect.retry({ schedule: again, while: ({ status }) => status !== 403 }),
      Effect.catch((error) =>
        Effect.andThen(Effect.logWarning(`${name}: not watched, and not registered again should it be lost`, error), Effect.never)
      )
    )
    yield* Registration.keep({
      name,
      acquire,
      keep: () => lost,
      abandon: Effect.suspend(() => (owner === undefined || owner === self ? taken(patch(PodInstance.none, Schema.Unknown)) : Effect.void)),
      release: () =>
        Effect.suspend(() => {
          if (owner !== self) return Effect.void
          owner = undefined
          return taken(patch(PodInstance.none, Schema.Unknown))
        })
    }).pipe(Effect.mapError((error) => (error instanceof RegistryError ? error : fail("register")(error))))
  })

  const resource = (method: string, name: string) =>
    PodInstance.isLabelValue(name) && name !== ""
      ? Effect.succeed({ path: pods(namespace), schema: PodInstance.Pod, labelSelector: `${PodInstance.labels.name}=${name}` })
      : Effect.fail(
          new RegistryError({ method, cause: new Error(`a pod's label cannot hold the name "${name.slice(0, 100)}"`), permanent: true })
        )

  const warned = new Set<string>()
  const read = (pod: PodInstance.Pod) =>
    Effect.map(PodInstance.decode(pod), (instance) => Option.some([pod, instance] as const)).pipe(
      Effect.catch((error) => {
        const { name, namespace = "", resourceVersion = "" } = pod.metadata
        const key = `${namespace}/${name}/${resourceVersion}`
        if (warned.has(key)) return Effect.succeedNone
        if (warned.size >= MAX_WARNED) warned.clear()
        warned.add(key)
        return Effect.as(
          Effect.logWarning(`the annotations of pod ${namespace}/${name} cannot be read; it is skipped`, error),
          Option.none()
        )
      })
    )
  const instances = (all: ReadonlyArray<PodInstance.Pod>): Effect.Effect<Instances> =>
    Effect.map(
      Effect.forEach(
        all.filter((pod) => PodInstance.isCallable(pod, ready)),
        read
      ),
      (found) => PodInstance.distinct(found.flatMap(Option.toArray))
    )

  const get = Effect.fnUntraced(function* (name: string) {
    const { items } = yield* Effect.mapError(kubernetes.list(yield* resource("get", name)), fail("get"))
    return yield* instances(items.map(({ value }) => value))
  })
  const watch = (name: string): Stream.Stream<Instances, RegistryError> =>
    Stream.suspend(() => {
      const memory = Reflector.memory<PodInstance.Pod>()
      const follow = Effect.map(resource("watch", name), (resource) => Reflector.follow(kubernetes, resource, memory)).pipe(
        Stream.unwrap,
        Stream.mapError((error) => (error instanceof RegistryError ? error : fail("watch")(error))),
        Stream.mapEffect(instances)
      )
      // what a cluster lists no more after an outage is gone: it forgets nothing
      return Watch.keep({ name: `${name} in Kubernetes`, follow, settle: 0 })
    })

  return Context.make(Registrar, { register }).pipe(Context.add(Discovery, { get, watch }))
})

/** Between attempts to watch the own pod. */
const again = Schedule.exponential("1 second").pipe(
  (schedule) => Schedule.min([schedule, Schedule.spaced("30 seconds")]),
  Schedule.jittered
)

/** Waits for the reply whatever happens: a request that is given up may still be served, after the one that follows it. */
const settled = <A, E>(call: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.uninterruptible(Effect.flatMap(Effect.forkDetach(call, { startImmediately: true }), Fiber.join))

/** A pod that is gone is registered no more. */
const taken = <A>(patch: Effect.Effect<A, KubernetesError>) =>
  Effect.catchIf(
    patch,
    ({ status }) => status === 404,
    () => Effect.void
  )

const ownPod: Effect.Effect<string, RegistryError> = Config.String("POD_NAME").pipe(
  Config.orElse(() => Config.String("HOSTNAME")),
  Effect.mapError(
    () =>
      new RegistryError({
        method: "register",
        cause: new Error("the name of the pod is not known: there is neither POD_NAME nor HOSTNAME"),
        permanent: true
      })
  )
)
