/** What is around the calls. A stream has no time limit of its own unless one is asked for: a subscription is not slow, it is long. */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as Logging from "@effect-kratos/core/aspect/Logging"
import * as Match from "@effect-kratos/core/aspect/Match"
import * as Recovery from "@effect-kratos/core/aspect/Recovery"
import * as Timeout from "@effect-kratos/core/aspect/Timeout"
import * as Tracing from "@effect-kratos/core/aspect/Tracing"

/** The client's limits: unary calls 2 seconds, uploads half a minute, subscriptions none. */
export const client = Match.kind(["unary", "client_streaming"])(Timeout.make({ duration: "2 seconds", streams: "30 seconds" }))

/** The server's: nobody uploads for more than a minute. Streams get traces of their own, linked to the caller's. */
export const server = Aspect.compose(
  Tracing.makeServer({ join: Tracing.linkStreams }),
  Logging.makeServer({ level: Logging.levelByClass }),
  Recovery.server,
  Match.kind(["client_streaming"])(Timeout.make({ streams: "1 minute" }))
)
