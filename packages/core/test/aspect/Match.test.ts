import { assert, describe, it } from "@effect/vitest"
import * as Aspect from "../../src/Aspect.ts"
import * as Match from "../../src/aspect/Match.ts"
import * as CallFixture from "../CallFixture.ts"

const call = CallFixture.make({ operation: "/user.v1.Users/Get", kind: "unary", peer: "me" })

const matches = (match: Match.Match): boolean => match.test.matches(call)

const seen = Aspect.observe({ start: () => 1, end: () => undefined })

/** How many hooks are left of an observer behind `match`, once compiled. */
const hooks = (match: Match.Match): number => Aspect.compile(match(seen), call).hooks.length

describe("Match", () => {
  it("matches whole operations, prefixes, patterns, kinds and functions", () => {
    const cases: ReadonlyArray<readonly [Match.Match, boolean]> = [
      [Match.path(["/a", "/user.v1.Users/Get"]), true],
      [Match.path(["/user.v1.Users"]), false],
      [Match.path([]), false],
      [Match.prefix(["/x", "/user.v1."]), true],
      [Match.prefix(["user.v1."]), false],
      [Match.prefix([]), false],
      [Match.regex([String.raw`/user\.v\d\..*`]), true],
      [Match.regex([/\/USER.*/i]), true],
      [Match.regex([]), false],
      [Match.kind(["unary"]), true],
      [Match.kind(["bidi_streaming"]), false],
      [Match.method(({ service }) => service === "user.v1.Users"), true],
      [Match.predicate(({ peer }) => peer === "me"), true],
      [Match.predicate(({ peer }) => peer === "you"), false]
    ]
    cases.forEach(([match, expected], index) => {
      assert.strictEqual(matches(match), expected, `case ${index}`)
      const decided = match.test._tag === "Call" || expected
      assert.strictEqual(hooks(match), decided ? 1 : 0, `case ${index}`)
    })
  })

  it("takes a pattern only for the whole operation", () => {
    assert.isFalse(matches(Match.regex(["Users"])))
    assert.isFalse(matches(Match.regex(["/user.*Users"])))
    assert.isTrue(matches(Match.regex(["/nothing|/user.*"])))
    assert.isFalse(matches(Match.regex(["/user|Get"])))
    const sticky = Match.regex([/\/user.*/gy])
    assert.deepStrictEqual([matches(sticky), matches(sticky)], [true, true])
  })

  it("says which pattern does not compile, where it is written", () => {
    for (const pattern of ["/user(", "a)(b", "*"]) {
      assert.throws(() => Match.regex(["/fine", pattern]), `Match.regex: the pattern ${JSON.stringify(pattern)} does not compile`)
    }
  })

  it("combines, and needs the call only where a part does", () => {
    const yes = Match.method(() => true)
    const no = Match.method(() => false)
    const yesCall = Match.predicate(() => true)
    const cases: ReadonlyArray<readonly [Match.Match, boolean, "Method" | "Call"]> = [
      [Match.any(no, yes), true, "Method"],
      [Match.any(no, no), false, "Method"],
      [Match.any(), false, "Method"],
      [Match.all(yes, yes), true, "Method"],
      [Match.all(yes, no), false, "Method"],
      [Match.all(), true, "Method"],
      [Match.not(yes), false, "Method"],
      [Match.not(Match.any(no)), true, "Method"],
      [Match.any(no, yesCall), true, "Call"],
      [Match.all(no, yesCall), false, "Call"],
      [Match.not(Match.all(yes, yesCall)), false, "Call"]
    ]
    cases.forEach(([match, expected, tag], index) => {
      assert.strictEqual(matches(match), expected, `case ${index}`)
      assert.strictEqual(match.test._tag, tag, `case ${index}`)
    })
  })
})
