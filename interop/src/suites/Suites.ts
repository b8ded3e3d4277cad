/** The suites by name, each loaded when it is asked for. */
import type { Suite } from "./Suite.ts"

export const suites: Readonly<Record<string, () => Promise<{ readonly suite: Suite }>>> = {
  "connect-client": () => import("./connect-client.ts"),
  "connect-server": () => import("./connect-server.ts"),
  h2spec: () => import("./h2spec.ts"),
  grpc: () => import("./grpc.ts"),
  proxies: () => import("./proxies.ts"),
  kratos: () => import("./kratos.ts")
}
