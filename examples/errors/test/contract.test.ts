/** What does not compile. The lines below are checked by `tsc`; the calls that they make do nothing. */
// @effect-diagnostics missingEffectError:off -- it reports a second time what @ts-expect-error expects
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { NameInvalid, UserExists, UserNotFound } from "../src/gen/user/v1/error_reason_effect.ts"
import { Users } from "../src/gen/user/v1/users_effect.ts"

it("refuses to compile an error that the contract does not declare", () => {
  const createUser = () => Effect.fail(new NameInvalid({ message: "no" }))
  // declared: by the option for GetUser, and all reasons of the package for CreateUser
  Users.layer({ getUser: () => Effect.fail(new UserNotFound({ message: "no" })), createUser })
  // @ts-expect-error -- GetUser declares USER_NOT_FOUND alone
  Users.layer({ getUser: () => Effect.fail(new UserExists({ message: "no" })), createUser })
  Users.layer({
    // @ts-expect-error -- the same of a generator
    *getUser() {
      return yield* new UserExists({ message: "no" })
    },
    createUser
  })

  const find = Effect.flatMap(Users, (users) => users.getUser({ id: "1" }))
  const handled: Effect.Effect<unknown, KratosError, Users> = Effect.catchTag(find, "UserNotFound", () => Effect.void)
  // @ts-expect-error -- a caller that handles nothing still has UserNotFound
  const unhandled: Effect.Effect<unknown, KratosError, Users> = find
  assert.isTrue(Effect.isEffect(handled) && Effect.isEffect(unhandled))
})
