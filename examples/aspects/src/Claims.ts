/** What a token proves of a caller. A handler that reads it needs it in its type, and only an aspect that verifies tokens provides it. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** As it stands in a token; a token without roles has none. */
export const schema = Schema.Struct({
  sub: Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(64)),
  roles: Schema.Array(Schema.String).pipe(Schema.withDecodingDefaultKey(Effect.succeed([])))
})

export class Claims extends Context.Service<Claims, typeof schema.Type>()("example/Claims") {}
