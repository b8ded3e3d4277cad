/** The same errors over REST: HTTP status and Kratos' body. */
import * as Server from "@effect-kratos/transport/Server"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Users } from "../src/gen/user/v1/users_effect.ts"
import { UsersLive } from "../src/UsersLive.ts"
import { UserStore } from "../src/UserStore.ts"

const served = (store: Layer.Layer<UserStore>) =>
  Server.layer({ services: [Users], host: "127.0.0.1", port: 0 }).pipe(Layer.provide(UsersLive), Layer.provide(store))

const request = Effect.fnUntraced(function* (path: string, body?: object) {
  const { address } = yield* Server.Server
  const response = yield* Effect.promise(() =>
    fetch(
      `http://127.0.0.1:${address.port}${path}`,
      body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }
    )
  )
  return [response.status, yield* Effect.promise((): Promise<unknown> => response.json())]
})

it.effect("sends users, and each error under its status with code, reason, message and metadata", () =>
  Effect.gen(function* () {
    const absent = { code: 404, reason: "USER_NOT_FOUND", message: "no user has the id 1", metadata: { id: "1" } }
    assert.deepStrictEqual(yield* request("/v1/users/1"), [404, absent])
    assert.deepStrictEqual(yield* request("/v1/users", { name: "ada" }), [200, { id: "1", name: "ada" }])
    assert.deepStrictEqual(yield* request("/v1/users/1"), [200, { id: "1", name: "ada" }])
    const taken = { code: 409, reason: "USER_EXISTS", message: "ada is taken", metadata: { name: "ada", id: "1" } }
    assert.deepStrictEqual(yield* request("/v1/users", { name: "ada" }), [409, taken])
    const invalid = { code: 400, reason: "NAME_INVALID", message: "the name is empty", metadata: { field: "name" } }
    assert.deepStrictEqual(yield* request("/v1/users", { name: "" }), [400, invalid])
    const full = { code: 429, reason: "STORE_FULL", message: "there is no room for another user", metadata: { capacity: "1" } }
    assert.deepStrictEqual(yield* request("/v1/users", { name: "bob" }), [429, full])
  }).pipe(Effect.provide(served(UserStore.layerMemory({ capacity: 1 }))))
)

it.effect("says nothing of a defect", () =>
  Effect.gen(function* () {
    const hidden = { code: 500, reason: "", message: "internal error", metadata: {} }
    assert.deepStrictEqual(yield* request("/v1/users/1"), [500, hidden])
  }).pipe(Effect.provide(served(Layer.mock(UserStore, { get: () => Effect.die(new Error("password: hunter2")) }))))
)
