/** A client of the order service for one customer: its aspects attach a token, which is signed here and renewed before it expires. */
import * as JwtClient from "@effect-kratos/contrib-jwt/JwtClient"
import * as Tokens from "@effect-kratos/contrib-jwt/Tokens"
import * as Aspect from "@effect-kratos/core/Aspect"
import * as MetadataPropagation from "@effect-kratos/core/aspect/MetadataPropagation"
import * as Priority from "@effect-kratos/core/aspect/Priority"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { Orders } from "./gen/orders/v1/orders_effect.ts"

/** A token of a customer. In earnest it would come from whoever knows the customers. */
export const token = (secret: Redacted.Redacted, name: string, roles: ReadonlyArray<string>) =>
  Tokens.signed({ key: { algorithm: "HS256", secret }, claims: { iss: "examples/aspects", sub: name, roles }, lifetime: "10 minutes" })

export const client = (target: string, secret: Redacted.Redacted, name: string, roles: ReadonlyArray<string>) =>
  Layer.unwrap(
    Effect.map(Tokens.cached(token(secret, name, roles)), (token) =>
      Orders.client(target, { aspects: Aspect.compose(MetadataPropagation.client, Priority.client, JwtClient.make(token)) })
    )
  )
