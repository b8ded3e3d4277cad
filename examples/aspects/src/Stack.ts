/**
 * The aspects of the server, outermost first, and why in this order. What sees everything is outside, what refuses cheaply comes before what
 * costs, and who calls must be known before it can be limited.
 */
import * as JwtServer from "@effect-kratos/contrib-jwt/JwtServer"
import * as Keys from "@effect-kratos/contrib-jwt/Keys"
import * as Validation from "@effect-kratos/contrib-protovalidate/Validation"
import * as Aspect from "@effect-kratos/core/Aspect"
import * as Auth from "@effect-kratos/core/aspect/Auth"
import * as Bulkhead from "@effect-kratos/core/aspect/Bulkhead"
import * as Logging from "@effect-kratos/core/aspect/Logging"
import * as Match from "@effect-kratos/core/aspect/Match"
import * as Metrics from "@effect-kratos/core/aspect/Metrics"
import * as Priority from "@effect-kratos/core/aspect/Priority"
import * as RateLimit from "@effect-kratos/core/aspect/RateLimit"
import * as Recovery from "@effect-kratos/core/aspect/Recovery"
import * as Tracing from "@effect-kratos/core/aspect/Tracing"
import * as Context from "effect/Context"
import type * as Redacted from "effect/Redacted"
import * as Audit from "./Audit.ts"
import { Claims, schema } from "./Claims.ts"

/** Around every call of the server. */
export const server = Aspect.compose(
  // the span in which all lines and measurements of a call stand
  Tracing.server,
  // strangers may lower the priority of a call, not raise it
  Priority.makeServer({ ceiling: () => "CRITICAL" }),
  Logging.makeServer({ level: Logging.levelByClass }),
  Metrics.server,
  // defects are failures for all that is further out
  Recovery.server,
  // last before the work begins: what it refuses has cost next to nothing
  RateLimit.bbr({ priorities: true })
)

const changes = Match.path(["/orders.v1.Orders/PlaceOrder", "/orders.v1.Orders/ImportOrders"])

/** Around every call of Orders, inside of the above: it provides the claims to the handlers. */
export const orders = (secret: Redacted.Redacted) =>
  Aspect.compose(
    JwtServer.make(Claims, { keys: Keys.hmac(secret), claims: schema, issuer: "examples/aspects" }),
    // each caller has five calls a second, and ten at once
    RateLimit.tokens<Claims>({ rate: 5, burst: 10, key: (_call, services) => Context.get(services, Claims).sub }),
    changes(Auth.authorize(Claims, ({ roles }) => roles.includes("buyer"))),
    // one import at a time, and one that waits
    Match.path(["/orders.v1.Orders/ImportOrders"])(Bulkhead.make({ limit: 1, queue: 1, wait: "2 seconds" })),
    Validation.server,
    changes(Audit.server)
  )
