/** The user service in process and over the wire: an error is the same class, with the same message and metadata, on both. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Channels from "@effect-kratos/transport/Channels"
import * as Network from "@effect-kratos/transport/Network"
import * as Server from "@effect-kratos/transport/Server"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { NameInvalid, UserExists, UserNotFound } from "../src/gen/user/v1/error_reason_effect.ts"
import { Users } from "../src/gen/user/v1/users_effect.ts"
import { tour } from "../src/tour.ts"
import { UsersLive } from "../src/UsersLive.ts"
import { UserStore } from "../src/UserStore.ts"

// functions, because each test gets a store of its own
const inProcess = (capacity?: number) => UsersLive.pipe(Layer.provide(UserStore.layerMemory({ capacity })))

const overTheWire = (capacity?: number) =>
  Users.client("direct:///users:1").pipe(
    Layer.provide(Channels.layerDirect),
    Layer.provide(Server.layer({ services: [Users], host: "users", port: 1 })),
    Layer.provide(inProcess(capacity)),
    Layer.provide(Network.layerMemory)
  )

describe.each([
  ["in process", inProcess],
  ["over the wire", overTheWire]
] as const)("%s", (_, layer) => {
  it.effect("finds the user that was created, and nobody before", () =>
    Effect.gen(function* () {
      const users = yield* Users
      const error = yield* Effect.flip(users.getUser({ id: "1" }))
      assert.instanceOf(error, UserNotFound)
      assert.deepStrictEqual([error.message, error.metadata], ["no user has the id 1", { id: "1" }])

      const created = yield* users.createUser({ name: " ada " })
      assert.deepStrictEqual([created.id, created.name], ["1", "ada"])
      assert.strictEqual((yield* users.getUser({ id: "1" })).name, "ada")
    }).pipe(Effect.provide(layer()))
  )

  it.effect("gives a name to one of those who ask for it at once, and tells the others who has it", () =>
    Effect.gen(function* () {
      const users = yield* Users
      const [won, lost] = yield* Effect.partition(["ada", "ada", "ada"], (name) => users.createUser({ name }), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(
        won.map(({ name }) => name),
        ["ada"]
      )
      assert.lengthOf(lost, 2)
      for (const error of lost) {
        assert.instanceOf(error, UserExists)
        assert.deepStrictEqual(error.metadata, { name: "ada", id: "1" })
      }
    }).pipe(Effect.provide(layer()))
  )

  it.effect("takes names of one to forty characters", () =>
    Effect.gen(function* () {
      const users = yield* Users
      yield* users.createUser({ name: "a".repeat(40) })
      for (const name of ["", "  ", "a".repeat(41)]) {
        const error = yield* Effect.flip(users.createUser({ name }))
        assert.instanceOf(error, NameInvalid)
        assert.strictEqual(error.metadata?.["field"], "name")
      }
    }).pipe(Effect.provide(layer()))
  )

  it.effect("fails with a KratosError for what is not in the contract", () =>
    Effect.gen(function* () {
      const users = yield* Users
      yield* users.createUser({ name: "ada" })
      const error = yield* Effect.flip(users.createUser({ name: "bob" }))
      assert.instanceOf(error, KratosError.KratosError)
      assert.deepStrictEqual([error.code, error.reason, error.metadata], [429, "STORE_FULL", { capacity: "1" }])
      assert.instanceOf(yield* Effect.flip(users.createUser({ name: "ada" })), UserExists, "a taken name is still a taken name")
    }).pipe(Effect.provide(layer(1)))
  )

  it.effect("answers the tour", () =>
    Effect.gen(function* () {
      const answers = yield* Effect.forEach(tour, ([, call]) => call)
      assert.deepStrictEqual(answers, [
        "ada is user 1",
        "ada is taken by user 1",
        'correct the field "name": the name is empty',
        "user 1 is ada",
        "no user has the id 404"
      ])
    }).pipe(Effect.provide(layer()))
  )
})
