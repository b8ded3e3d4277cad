/** One fleet with Go: our members and clients beside those on Kratos v2 and v3, on real registries. */
import * as Direct from "../fleet/Direct.ts"
import * as Registered from "../fleet/Registered.ts"
import type * as Suite from "./Suite.ts"

export const suite: Suite.Suite = {
  name: "kratos",
  about: "members and clients on Kratos v2.9.2 and v3.0.0, and ours",
  parts: [
    Direct.pair("v2", "ours"),
    Direct.pair("v3", "ours"),
    Direct.pair("ours", "v2"),
    Direct.pair("ours", "v3"),
    Direct.asked,
    Registered.part("etcd"),
    Registered.part("consul"),
    Registered.part("zookeeper")
  ]
}
