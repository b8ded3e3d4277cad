/**
 * Where the users are kept: in memory, until the program ends. It fails with the contract's own errors, so that the service has nothing to
 * translate. A full store is not in the contract; it is a `KratosError`, which every method can fail with.
 */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { UserExists, UserNotFound } from "./gen/user/v1/error_reason_effect.ts"

export interface StoredUser {
  readonly id: string
  readonly name: string
}

export interface Options {
  /** How many users fit, because callers decide how many there are. Default 10 000. */
  readonly capacity?: number | undefined
}

export class UserStore extends Context.Service<
  UserStore,
  {
    readonly get: (id: string) => Effect.Effect<StoredUser, UserNotFound>
    /** Adds a user whose name nobody has. */
    readonly add: (name: string) => Effect.Effect<StoredUser, UserExists | KratosError.KratosError>
  }
>()("@effect-kratos/example-errors/UserStore") {
  static readonly layerMemory = (options: Options = {}): Layer.Layer<UserStore> => Layer.effect(UserStore, make(options))
}

const make = ({ capacity = 10_000 }: Options) =>
  Effect.sync(() => {
    const byId = new Map<string, StoredUser>()
    const byName = new Map<string, StoredUser>()

    return UserStore.of({
      get: Effect.fnUntraced(function* (id) {
        return byId.get(id) ?? (yield* new UserNotFound({ message: `no user has the id ${id}`, metadata: { id } }))
      }),
      // nothing waits between looking up and adding: of two callers with one name, one gets it
      add: Effect.fnUntraced(function* (name) {
        const holder = byName.get(name)
        // metadata is for programs: this caller learns whose name it is and need not parse the message
        if (holder !== undefined) return yield* new UserExists({ message: `${name} is taken`, metadata: { name, id: holder.id } })
        if (byId.size >= capacity) {
          const metadata = { capacity: String(capacity) }
          return yield* KratosError.tooManyRequests("STORE_FULL", "there is no room for another user", { metadata })
        }
        const user: StoredUser = { id: String(byId.size + 1), name }
        byId.set(user.id, user)
        byName.set(name, user)
        return user
      })
    })
  })
