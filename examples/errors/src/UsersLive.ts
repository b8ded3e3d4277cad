/** The service: checks what it is given and asks the store. An error that the contract does not declare for a method does not compile. */
import * as Effect from "effect/Effect"
import { NameInvalid } from "./gen/user/v1/error_reason_effect.ts"
import { Users } from "./gen/user/v1/users_effect.ts"
import { UserStore } from "./UserStore.ts"

/** Longest name, in UTF-16 units. */
const maxLength = 40

export const UsersLive = Users.layer({
  *getUser({ id }) {
    const store = yield* UserStore
    return yield* store.get(id)
  },

  *createUser(request) {
    const name = yield* checkName(request.name)
    const store = yield* UserStore
    return yield* store.add(name)
  }
})

const checkName = Effect.fnUntraced(function* (text: string) {
  const name = text.trim()
  if (name === "") return yield* new NameInvalid({ message: "the name is empty", metadata: { field: "name" } })
  if (name.length > maxLength) {
    return yield* new NameInvalid({ message: `the name is longer than ${maxLength}`, metadata: { field: "name", max: String(maxLength) } })
  }
  return name
})
