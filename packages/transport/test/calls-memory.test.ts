import { suite } from "./CallLaws.ts"
import { memory } from "./Harness.ts"

suite(memory)
