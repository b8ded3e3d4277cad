/** Recovery, a line of the log for each call, and the adaptive limiter: what Kratos' guide puts in front of a service. */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as Logging from "@effect-kratos/core/aspect/Logging"
import * as RateLimit from "@effect-kratos/core/aspect/RateLimit"
import * as Recovery from "@effect-kratos/core/aspect/Recovery"
import { serve } from "./guarded.ts"

serve(Aspect.compose(Recovery.server, Logging.server, RateLimit.server))
