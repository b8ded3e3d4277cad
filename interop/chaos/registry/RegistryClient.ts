/** `Registrar` and `Discovery` of the harness's registry, as an adapter of any other registry would be written. */
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as Registration from "@effect-kratos/core/registry/Registration"
import { RegistryError } from "@effect-kratos/core/registry/RegistryError"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as Watch from "@effect-kratos/core/registry/Watch"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

export interface Options {
  /** `HOST:PORT`. */
  readonly address: string
  /** The life of a registration that is not renewed, in milliseconds; it is renewed three times in it. */
  readonly ttl: number
}

const List = Schema.Struct({ index: Schema.Int, instances: Schema.Array(Schema.String) })

export const layer = (options: Options): Layer.Layer<Registrar | Discovery> => Layer.succeedContext(make(options))

const make = ({ address, ttl }: Options) => {
  const ask = (method: string, path: string, init: RequestInit, timeout: number) =>
    Effect.tryPromise({
      try: async (signal) => {
        const response = await fetch(`http://${address}${path}`, { ...init, signal })
        if (!response.ok) throw new Error(`the registry answers ${response.status}`)
        return response.status === 204 ? undefined : ((await response.json()) as unknown)
      },
      catch: (cause) => new RegistryError({ method, cause })
    }).pipe(Effect.timeoutOrElse({ duration: timeout, orElse: () => Effect.fail(new RegistryError({ method, cause: "timed out" })) }))

  const register = (instance: ServiceInstance.ServiceInstance) => {
    const path = `/${encodeURIComponent(instance.name)}/${encodeURIComponent(instance.id)}`
    const put = ask("register", `${path}?ttl=${ttl}`, { method: "PUT", body: ServiceInstance.encode(instance) }, ttl)
    return Registration.keep({
      name: `${instance.name}/${instance.id} in the registry`,
      acquire: put,
      keep: () => Effect.forever(Effect.delay(put, ttl / 3)),
      release: () => ask("deregister", path, { method: "DELETE" }, ttl),
      timeout: ttl
    }).pipe(Effect.mapError((cause) => (cause._tag === "RegistryError" ? cause : new RegistryError({ method: "register", cause }))))
  }

  const list = (name: string, index: number) =>
    ask("watch", `/${encodeURIComponent(name)}?index=${index}`, {}, 40_000).pipe(
      Effect.flatMap(Schema.decodeUnknownEffect(List)),
      Effect.flatMap(({ index, instances }) =>
        Effect.map(Effect.forEach(instances, ServiceInstance.decode), (list) => ({ index, list: list.sort(ServiceInstance.byId) }))
      ),
      Effect.mapError((cause) => (cause._tag === "RegistryError" ? cause : new RegistryError({ method: "watch", cause })))
    )
  return Context.make(Registrar, { register }).pipe(
    Context.add(Discovery, {
      get: (name) => Effect.map(list(name, 0), ({ list }) => list),
      watch: (name) =>
        Watch.keep({
          name: `${name} in the registry`,
          follow: Stream.unfold(0, (index) => Effect.map(list(name, index), (next) => [next.list, next.index] as const))
        })
    })
  )
}
