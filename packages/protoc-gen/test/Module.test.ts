import { assert, describe, it } from "@effect/vitest"
import * as Module from "../src/Module.ts"

describe("Module.specifier", () => {
  it.each([
    ["a/v1/x_effect.ts", "./a/v1/y_pb.js", "./y_pb.ts"],
    ["a/v1/x_effect.ts", "./a/v2/y_pb.js", "../v2/y_pb.ts"],
    ["a/v1/x_effect.ts", "./b/y_pb.js", "../../b/y_pb.ts"],
    ["a/v1/x_effect.ts", "./y_pb.js", "../../y_pb.ts"],
    ["x_effect.ts", "./a/v1/y_pb.js", "./a/v1/y_pb.ts"],
    ["x_effect.ts", "../other/y_pb.js", "../other/y_pb.ts"],
    ["a/x_effect.ts", "../other/y_pb.js", "../../other/y_pb.ts"],
    ["a/x_effect.ts", "@acme/gen/a/y_pb.js", "@acme/gen/a/y_pb.js"]
  ])("from %s to %s: %s", (importer, target, specifier) => assert.strictEqual(Module.specifier(importer, target, "ts"), specifier))
})
