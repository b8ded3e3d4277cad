import { assert, describe, it } from "@effect/vitest"
import * as ClassName from "../src/ClassName.ts"

// the third column says why
describe("ClassName.fromValueName", () => {
  it.each([
    ["USER_NOT_FOUND", "UserNotFound", "parts in capitals are lowered"],
    ["USER", "User", "also when there is one"],
    ["systemError", "SystemError", "other casing is kept"],
    ["HTTP_2xx_EXPECTED", "Http2xxExpected", "part by part"],
    ["iOS_ERROR", "IOSError", "a lower-case letter anywhere keeps the part"],
    ["__TWICE__UNDERSCORED_", "TwiceUnderscored", "empty parts vanish"],
    ["_2FA", "_2fa", "an identifier does not start with a digit"],
    ["___", "", "nothing is left"]
  ])("%s → %s: %s", (value, name) => assert.strictEqual(ClassName.fromValueName(value), name))
})
