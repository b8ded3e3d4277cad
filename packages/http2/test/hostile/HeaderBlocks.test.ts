/**
 * Header blocks that are large, never end, or cost more than their bytes. What is held of them is bounded by `maxHeaderListSize` and the table sizes,
 * whatever the block refers to; the code is ENHANCE_YOUR_CALM or COMPRESSION_ERROR.
 */
import { assert, describe, it } from "@effect/vitest"
import { ErrorCode } from "../../src/ErrorCode.ts"
import { HeaderBlock } from "../../src/HeaderBlock.ts"
import { TOO_LARGE } from "../../src/Headers.ts"
import { HpackDecoder } from "../../src/internal/HpackDecoder.ts"
import { defaults } from "../../src/Limits.ts"
import { attack, blockFrames, endedWith, indexed, indexing, literal, neighbour, request, resize } from "../support/Attack.ts"
import * as F from "../support/Frames.ts"
import { Wire } from "../support/Wire.ts"

const { COMPRESSION_ERROR, ENHANCE_YOUR_CALM } = ErrorCode
const LIST = defaults.maxHeaderListSize
const TABLE = defaults.headerTableSize
/** A block under way, twice for its doubling, both tables, and blocks remembered. */
const BOUND = 2 * LIST + 2 * TABLE + 65_536

const get = F.rawBlock(F.GET)
const status = F.rawBlock([[":status", "200"]])
const many = (count: number, part: Uint8Array): Uint8Array => Buffer.concat(Array.from({ length: count }, () => part))

/** The connection of either side with one stream on which a block may come. */
const sides = [
  {
    name: "server",
    first: get,
    open: (options = {}) => {
      const wire = Wire.server(options)
      wire.open()
      return { wire, next: () => {} }
    }
  },
  {
    name: "client",
    first: status,
    open: (options = {}) => {
      const wire = Wire.client(options)
      wire.openServer()
      return { wire, next: () => void request(wire) }
    }
  }
] as const

describe("header blocks", () => {
  for (const { first, name, open } of sides) {
    it(`${name}: CONTINUATION flood (VU#421644): ENHANCE_YOUR_CALM after ${defaults.maxContinuations} frames, however small`, () => {
      for (const size of [0, 1, 100]) {
        const { next, wire } = open()
        next()
        const outcome = attack(wire, {
          part: (i) => (i === 0 ? F.frame(1, 1, 1, first) : F.frame(9, 0, 1, new Uint8Array(size).fill(0x82))),
          bound: BOUND
        })
        endedWith(wire, outcome, ENHANCE_YOUR_CALM)
        assert.isAtMost(outcome.steps, defaults.maxContinuations + 2)
      }
    })

    it(`${name}: a block of large CONTINUATIONs: ENHANCE_YOUR_CALM above 64 KiB`, () => {
      const { next, wire } = open()
      next()
      const part = new Uint8Array(16_384)
      const outcome = attack(wire, { part: (i) => F.frame(i === 0 ? 1 : 9, 0, 1, part), bound: BOUND })
      endedWith(wire, outcome, ENHANCE_YOUR_CALM)
      assert.isAtMost(outcome.received, LIST + 2 * 16_384)
    })

    it(`${name}: a block dripped byte by byte holds twice what has come, and no other connection waits`, () => {
      const { next, wire } = open()
      next()
      const frames = Buffer.concat(blockFrames(1, Buffer.concat([first, literal("x", "y".repeat(100))]), 1, 32))
      const other = neighbour()
      for (let i = 0; i < frames.length; i++) {
        wire.send(frames.subarray(i, i + 1))
        assert.isAtMost(wire.connection.heldBytes, 2 * (i + 32) + 64)
        other.call()
      }
      assert.isFalse(wire.connection.closed)
    })

    it(`${name}: an announced frame that never comes holds twice what has come, not what it announces`, () => {
      const { wire } = open({ maxFrameSize: 16_777_215 })
      const before = wire.connection.heldBytes
      wire.send(Buffer.from([0xff, 0xff, 0xff, 0x42, 0, 0, 0, 0, 0, 1, 2, 3]))
      assert.isAtMost(wire.connection.heldBytes - before, 64)
      for (let i = 0; i < 100; i++) wire.send(new Uint8Array(10))
      assert.isAtMost(wire.connection.heldBytes - before, 2100)
    })

    it(`${name}: HPACK bombs (CVE-2016-6581): a large entry named again and again: the stream ends, the list is not built`, () => {
      const { next, wire } = open({ maxHeaderListSize: LIST })
      // an entry of 4,000 bytes, then 2,000 indices of a byte each: 8 MB in 2 KB
      next()
      wire.send(...blockFrames(1, Buffer.concat([first, indexing("x-bomb", "b".repeat(3900))]), 1))
      assert.isFalse(wire.connection.closed)
      const bomb = Buffer.concat([first, many(1900, indexed(62))])
      const outcome = attack(wire, {
        part: (i) => {
          next()
          return Buffer.concat(blockFrames(2 * i + 3, bomb, 1))
        },
        bound: BOUND,
        most: 100
      })
      assert.strictEqual(outcome.steps, 100)
      assert.include(outcome.said, `RST_STREAM 201 ${ENHANCE_YOUR_CALM}`)
      assert.isAtMost(outcome.peak, BOUND)
    })

    it(`${name}: a bomb of more indices than a list can have fields: ENHANCE_YOUR_CALM before one is looked up`, () => {
      const { next, wire } = open()
      next()
      const outcome = attack(wire, {
        part: () => Buffer.concat(blockFrames(1, Buffer.concat([first, many(60_000, indexed(2))]), 1)),
        bound: BOUND,
        most: 1
      })
      endedWith(wire, outcome, ENHANCE_YOUR_CALM)
    })

    it(`${name}: zero-length headers (CVE-2019-9516): 32 bytes each, so a list of them ends like any other`, () => {
      const { next, wire } = open()
      next()
      const outcome = attack(wire, {
        part: () => Buffer.concat(blockFrames(1, Buffer.concat([first, many(20_000, Buffer.from([0x40, 0, 0]))]), 1)),
        bound: BOUND,
        most: 1
      })
      endedWith(wire, outcome, ENHANCE_YOUR_CALM)
      assert.isAtMost(outcome.peak, BOUND)
    })

    it(`${name}: table thrash: entries that push each other out hold ${TABLE} bytes`, () => {
      const { next, wire } = open()
      const outcome = attack(wire, {
        part: (i) => {
          next()
          const churn = Array.from({ length: 40 }, (_, k) => indexing(`x-${k % 7}`, `${i}-${k}-`.padEnd(180, "v")))
          return Buffer.concat(blockFrames(2 * i + 1, Buffer.concat([first, ...churn]), 1))
        },
        bound: BOUND,
        most: 500,
        after: (i) => {
          if (name === "server") (wire as Wire<never>).send(F.reset(2 * i + 1, 8))
        }
      })
      assert.strictEqual(outcome.steps, 500)
      assert.isAtMost(wire.connection.heldBytes, 2 * TABLE + 1024)
    })

    it(`${name}: table size updates that flap in each block change nothing that is held`, () => {
      const { next, wire } = open()
      const flap = Buffer.concat([...Array.from({ length: 500 }, (_, i) => resize(i & 1 ? 0 : 4096)), resize(4096)])
      const outcome = attack(wire, {
        part: (i) => {
          next()
          return Buffer.concat(blockFrames(2 * i + 1, Buffer.concat([flap, first, indexing("x", "y".repeat(2000))]), 1))
        },
        bound: BOUND,
        most: 200,
        after: (i) => {
          if (name === "server") (wire as Wire<never>).send(F.reset(2 * i + 1, 8))
        }
      })
      assert.strictEqual(outcome.steps, 200)
      assert.isAtMost(wire.connection.heldBytes, 2 * TABLE + 1024)
    })

    it(`${name}: a table size above the limit, an index out of the table, an integer without end: COMPRESSION_ERROR`, () => {
      for (const block of [
        resize(4097),
        indexed(62),
        Buffer.concat([first, indexed(1 << 20)]),
        Buffer.from([0xff, ...new Uint8Array(20).fill(0xff), 0]),
        Buffer.from([0x40, 0x7f, 0xff, 0xff, 0xff, 0x7f]),
        Buffer.from([0x80]),
        Buffer.from([0x00, 0x82, 0xff, 0xff, 0x01, 0x61]),
        Buffer.concat([first, resize(0)])
      ]) {
        const { next, wire } = open()
        next()
        const outcome = attack(wire, { part: () => Buffer.concat(blockFrames(1, block, 1)), bound: BOUND, most: 1 })
        endedWith(wire, outcome, COMPRESSION_ERROR)
      }
    })

    it(`${name}: oversized lists end their streams; ${defaults.maxResets} of them the connection of a client`, () => {
      const { next, wire } = open()
      const block = Buffer.concat([first, many(2030, Buffer.from([0x00, 1, 0x61, 1, 0x62]))])
      const outcome = attack(wire, {
        part: (i) => {
          next()
          return Buffer.concat(blockFrames(2 * i + 1, block, 1))
        },
        bound: BOUND,
        most: defaults.maxResets + 1
      })
      if (name === "server") endedWith(wire, outcome, ENHANCE_YOUR_CALM)
      else assert.isFalse(wire.connection.closed)
      assert.isTrue(outcome.said.some((line) => /^RST_STREAM \d+ 11$/.test(line)))
    })

    it(`${name}: cookie crumbs are counted like other fields`, () => {
      const { next, wire } = open()
      next()
      const outcome = attack(wire, {
        part: () => Buffer.concat(blockFrames(1, Buffer.concat([first, many(2040, literal("cookie", ""))]), 1)),
        bound: BOUND,
        most: 1
      })
      assert.include(outcome.said, `RST_STREAM 1 ${ENHANCE_YOUR_CALM}`)
    })
  }

  it("server: octets that are no UTF-8 in names and paths: a name ends its stream, values are passed on octet by octet", () => {
    const wire = Wire.server()
    wire.open()
    wire.send(
      F.headers(
        1,
        [
          [":method", "GET"],
          [":scheme", "http"],
          [":path", "/\xff\xc0\x80"],
          ["x-a", "\x80\xfe"]
        ],
        F.END
      )
    )
    assert.strictEqual(wire.exchanges[0]?.headers[0]?.path, "/\xff\xc0\x80")
    assert.strictEqual(wire.exchanges[0]?.headers[0]?.get("x-a"), "\x80\xfe")
    wire.frames()
    wire.send(F.headers(3, [...F.GET, ["x-\xff", "1"]], F.END))
    assert.deepStrictEqual(F.show(wire.frames()), [`RST_STREAM 3 ${ErrorCode.PROTOCOL_ERROR}`])
  })

  it("a bomb's list is not built beyond the limit, whatever its fields are", () => {
    for (const field of ["x-bomb", "cookie"]) {
      const decoder = new HpackDecoder(TABLE, LIST)
      const bomb = Buffer.concat([get, indexing(field, "b".repeat(3900)), many(1900, indexed(62))])
      const { fields, flags } = decoder.decode(bomb, 0, bomb.length)
      assert.strictEqual(flags, TOO_LARGE)
      assert.isAtMost(fields.join("").length, LIST)
    }
  })

  it("blocks that are remembered go with the table that they refer to", () => {
    const wire = Wire.server()
    wire.open()
    const before = wire.connection.heldBytes
    for (let id = 1; id < 400; id += 2)
      wire.send(F.headers(id, [...F.GET, ["x", `${(id >> 1) % 40}`.padStart(100)]], F.END), F.reset(id, 8))
    const remembered = wire.connection.heldBytes - before
    assert.isAbove(remembered, 5000)
    wire.send(...blockFrames(401, Buffer.concat([get, indexing("x", "y")]), 1))
    for (let id = 403; id < 443; id += 2) wire.send(F.headers(id, F.GET, F.END))
    assert.isAtMost(wire.connection.heldBytes - before, 1000)
  })

  it("encoder: a peer whose table flaps gets blocks that it can read", () => {
    const wire = Wire.server()
    wire.open()
    const reply = HeaderBlock.make([[":status", "200"], ...Array.from({ length: 20 }, (_, i) => [`x-${i}`, `value ${i}`] as const)])
    for (let i = 0; i < 200; i++) {
      const size = [4096, 0, 100, 1 << 30, 2000][i % 5]!
      wire.send(F.settings([1, size]), F.headers(2 * i + 1, F.GET, F.END))
      wire.decoder.setLimit(Math.max(4096, size))
      wire.exchanges.at(-1)?.stream?.headers(reply, true)
      const answer = wire.frames().find(({ type }) => type === 1)
      assert.strictEqual(wire.decode(answer).fields.length, 40)
      assert.isAtMost(wire.connection.heldBytes, 3 * TABLE)
    }
  })
})
