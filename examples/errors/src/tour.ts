/**
 * What a client does with typed errors: the reasons of the contract are answers, each with a way on; `KratosError` is the rest (no
 * connection, no time left, a reason that this client does not know) and is left to the program. The types below say so: remove a case
 * and it does not compile.
 */
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import * as Effect from "effect/Effect"
import { Users } from "./gen/user/v1/users_effect.ts"

/** Adds a user and says what became of it. */
export const create = (name: string): Effect.Effect<string, KratosError, Users> =>
  Effect.gen(function* () {
    const users = yield* Users
    const user = yield* users.createUser({ name })
    return `${user.name} is user ${user.id}`
  }).pipe(
    Effect.catchTags({
      NameInvalid: ({ message, metadata }) => Effect.succeed(`correct the field "${metadata?.["field"]}": ${message}`),
      // what a program needs is in the metadata
      UserExists: ({ message, metadata }) => Effect.succeed(`${message} by user ${metadata?.["id"]}`),
      // the contract does not say how CreateUser can fail, which means: for every reason of its package
      UserNotFound: ({ message }) => Effect.succeed(message)
    })
  )

/** Finds a user. The contract declares one reason for GetUser, so there is one to handle. */
export const find = (id: string): Effect.Effect<string, KratosError, Users> =>
  Effect.gen(function* () {
    const users = yield* Users
    const user = yield* users.getUser({ id })
    return `user ${id} is ${user.name}`
  }).pipe(Effect.catchTag("UserNotFound", ({ message }) => Effect.succeed(message)))

/** Every kind of answer once. */
export const tour: ReadonlyArray<readonly [what: string, call: Effect.Effect<string, KratosError, Users>]> = [
  ["create ada", create("ada")],
  ["create ada again", create("ada")],
  ["create nobody", create("")],
  ["find user 1", find("1")],
  ["find user 404", find("404")]
]
