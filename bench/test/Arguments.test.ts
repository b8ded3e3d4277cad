import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { benches, parse } from "../src/Arguments.ts"

const failure = (...argv: ReadonlyArray<string>) => Result.getOrThrow(Result.flip(parse(argv)))

describe("Arguments", () => {
  it("runs everything, as a table, by default", () => {
    assert.deepStrictEqual(Result.getOrThrow(parse([])), {
      only: benches,
      subjects: [],
      shapes: [],
      seconds: 1,
      rounds: 5,
      warmup: 1,
      json: false,
      targets: false,
      help: false
    })
  })

  it("reads lists, figures and flags", () => {
    const args = Result.getOrThrow(
      parse([
        "--only",
        "rest, unary",
        "--subjects=http2,grpc-js",
        "--load",
        "64x1,1x100",
        "--seconds",
        "0.5",
        "--rounds=1",
        "--warmup=0",
        "--json",
        "--targets"
      ])
    )
    assert.deepStrictEqual(args, {
      only: ["rest", "unary"],
      subjects: ["http2", "grpc-js"],
      shapes: [
        { connections: 64, streams: 1 },
        { connections: 1, streams: 100 }
      ],
      seconds: 0.5,
      rounds: 1,
      warmup: 0,
      json: true,
      targets: true,
      help: false
    })
  })

  it("answers what it does not understand with the reason, the usage and exit code 2", () => {
    const wrong: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
      [["--fast"], /fast/],
      [["unary"], /unary/],
      [["--only", "unary,ternary"], /no such bench: ternary/],
      [["--only", ","], /names no bench/],
      [["--load", "10x"], /"10x" is not/],
      [["--load", "0x5"], /"0x5" is not/],
      [["--load", "10001x1"], /is not/],
      [["--seconds", "0"], /--seconds/],
      [["--seconds", "soon"], /--seconds/],
      [["--rounds", "1.5"], /--rounds/],
      [["--rounds", "0"], /--rounds/],
      [["--warmup=-1"], /--warmup/]
    ]
    for (const [argv, reason] of wrong) {
      const error = failure(...argv)
      assert.strictEqual(error.exitCode, 2)
      assert.match(error.message, reason)
      assert.include(error.message, "npm run bench")
    }
  })
})
