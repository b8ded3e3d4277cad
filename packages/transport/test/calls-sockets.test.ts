import { suite } from "./CallLaws.ts"
import { sockets } from "./Harness.ts"

suite(sockets)
