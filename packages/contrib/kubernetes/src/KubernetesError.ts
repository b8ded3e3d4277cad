import * as Schema from "effect/Schema"

/**
 * The API server could not be reached, or did not do what was asked. `status` is its HTTP status, 0 when there was no answer; `reason` is its own word for
 * it, such as `NotFound` or `Expired`.
 */
export class KubernetesError extends Schema.TaggedError<KubernetesError>("@effect-kratos/contrib-kubernetes/KubernetesError")(
  "KubernetesError",
  {
    operation: Schema.String,
    status: Schema.Int,
    reason: Schema.String,
    message: Schema.String
  }
) {}

/** One without an answer of the server. */
export const failed = (operation: string, why: string): KubernetesError =>
  new KubernetesError({ operation, status: 0, reason: "", message: `kubernetes: ${operation}: ${why}` })
