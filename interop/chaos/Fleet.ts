/** Nodes of one service as processes, what registers them, and clients that find them. */
import type * as Aspect from "@effect-kratos/core/Aspect"
import type * as KratosError from "@effect-kratos/core/error/KratosError"
import * as JournalFile from "@effect-kratos/testing/JournalFile"
import * as Program from "@effect-kratos/testing/Program"
import * as Channels from "@effect-kratos/transport/Channels"
import type * as Client from "@effect-kratos/transport/Client"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as Files from "../src/Files.ts"
import { Work } from "../src/gen/chaos/v1/work_effect.ts"
import type { NodeConfig } from "./NodeConfig.ts"

const file = fileURLToPath(new URL("./node.ts", import.meta.url))

export type Node = Program.Program<number>

/** Reads a node's `{"port":N}`. */
const port = (line: string): number | undefined => {
  const said = /^\{"port":(\d+)\}$/.exec(line)?.[1]
  return said === undefined ? undefined : Number(said)
}

export interface Fleet {
  /** Starts a node; it ends with the scope at the latest. Ids may be used again, by a later process. */
  readonly start: (config: Partial<NodeConfig> & { readonly id: string }) => Effect.Effect<Node, Program.ProgramError, Scope.Scope>
  /** What all nodes have noted so far. */
  readonly journal: ReturnType<typeof JournalFile.readAll>
}

export const make = Effect.fnUntraced(function* (common: Partial<NodeConfig> = {}) {
  const directory = yield* Files.folder
  let started = 0
  const fleet: Fleet = {
    start: (config) =>
      Effect.suspend(() => {
        const journal = path.join(directory, `${config.id}-${started++}.ndjson`)
        const whole: NodeConfig = {
          name: "chaos",
          ttl: 3000,
          retries: false,
          limited: false,
          broken: false,
          wait: 0,
          burn: 0,
          ...common,
          ...config,
          journal
        }
        return Program.node(file, [JSON.stringify(whole)], { ready: port })
      }),
    journal: JournalFile.readAll(directory)
  }
  return fleet
})

/** What clients of the scenarios have around their calls. */
export type Aspects = Aspect.Aspect<KratosError.KratosError>

/** A client that lives as long as the scope, with connections of its own. */
export const client = <R = never>(
  target: string,
  options: Client.Options<R>,
  channels: Layer.Layer<Channels.Channels> = Channels.layerDirect
) =>
  Effect.map(Layer.build(Layer.fresh(Work.client(target, options).pipe(Layer.provide(channels)))), (context) => Context.get(context, Work))
