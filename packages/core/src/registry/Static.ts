/** Discovery over a list that does not change: for tests, and for peers whose addresses stand in the configuration. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Discovery } from "./Discovery.ts"
import * as ServiceInstance from "./ServiceInstance.ts"

/** The instances of each service. A string is an endpoint, which makes an instance with the endpoint as its id. */
export type Services = Readonly<Record<string, ReadonlyArray<ServiceInstance.ServiceInstance | string>>>

export const layer = (services: Services): Layer.Layer<Discovery> => {
  const lists = new Map(Object.entries(services).map(([name, entries]) => [name, instances(name, entries)]))
  const find = (name: string) => lists.get(name) ?? []
  return Layer.succeed(Discovery, {
    get: (name) => Effect.sync(() => find(name)),
    watch: (name) =>
      Stream.concat(
        Stream.sync(() => find(name)),
        Stream.never
      )
  })
}

/** `layer` from configuration: one list of endpoints per service, such as `Config.Record(Schema.String, Schema.Array(Schema.String))`. */
export const layerConfig = (config: Config.Config<Services>): Layer.Layer<Discovery, Config.ConfigError> =>
  Layer.unwrap(Effect.map(config, layer))

const instances = (name: string, entries: Services[string]): ReadonlyArray<ServiceInstance.ServiceInstance> =>
  entries
    .map((entry) => (typeof entry === "string" ? ServiceInstance.make({ id: entry, name, endpoints: [entry] }) : entry))
    .sort(ServiceInstance.byId)
