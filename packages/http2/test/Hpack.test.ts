import { assert, describe, it } from "@effect/vitest"
import { HeaderBlock } from "../src/HeaderBlock.ts"
import type { Headers } from "../src/Headers.ts"
import { HpackDecoder } from "../src/internal/HpackDecoder.ts"
import { HpackEncoder } from "../src/internal/HpackEncoder.ts"
import * as Huffman from "../src/internal/Huffman.ts"
import * as Seeded from "./support/Seeded.ts"

type Fields = ReadonlyArray<readonly [string, string]>

const bytes = (hex: string): Uint8Array => Buffer.from(hex.replaceAll(" ", ""), "hex")

const decode = (decoder: HpackDecoder, block: Uint8Array): Headers => decoder.decode(block, 0, block.length)

const listOf = (headers: Headers): Array<string> => {
  const pseudo = [
    [":method", headers.method],
    [":scheme", headers.scheme],
    [":path", headers.path],
    [":authority", headers.authority],
    [":status", headers.status === 0 ? "" : String(headers.status)]
  ].flatMap(([name, value]) => (value === "" ? [] : [`${name}: ${value}`]))
  for (let i = 0; i < headers.fields.length; i += 2) pseudo.push(`${headers.fields[i]}: ${headers.fields[i + 1]}`)
  return pseudo
}

const request = (path: string, scheme: string, ...rest: ReadonlyArray<string>): Array<string> => [
  ":method: GET",
  `:scheme: ${scheme}`,
  `:path: ${path}`,
  ":authority: www.example.com",
  ...rest
]

const dated = (status: string, second: string, ...rest: ReadonlyArray<string>): Array<string> => [
  `:status: ${status}`,
  "cache-control: private",
  `date: Mon, 21 Oct 2013 20:13:${second} GMT`,
  "location: https://www.example.com",
  ...rest
]

const cookie = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"

/** RFC 7541 appendix C: blocks of one connection each, what they say, and the size of the table behind them. */
const sequences: ReadonlyArray<{
  readonly name: string
  readonly tableSize: number
  readonly blocks: ReadonlyArray<readonly [hex: string, list: ReadonlyArray<string>, size: number]>
}> = [
  {
    name: "C.2.1 literal with indexing",
    tableSize: 4096,
    blocks: [["400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", ["custom-key: custom-header"], 55]]
  },
  { name: "C.2.2 literal without indexing", tableSize: 4096, blocks: [["040c 2f73 616d 706c 652f 7061 7468", [":path: /sample/path"], 0]] },
  {
    name: "C.2.3 literal never indexed",
    tableSize: 4096,
    blocks: [["1008 7061 7373 776f 7264 0673 6563 7265 74", ["password: secret"], 0]]
  },
  { name: "C.2.4 indexed", tableSize: 4096, blocks: [["82", [":method: GET"], 0]] },
  {
    name: "C.3 requests without Huffman",
    tableSize: 4096,
    blocks: [
      ["8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", request("/", "http"), 57],
      ["8286 84be 5808 6e6f 2d63 6163 6865", request("/", "http", "cache-control: no-cache"), 110],
      [
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        request("/index.html", "https", "custom-key: custom-value"),
        164
      ]
    ]
  },
  {
    name: "C.4 requests with Huffman",
    tableSize: 4096,
    blocks: [
      ["8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", request("/", "http"), 57],
      ["8286 84be 5886 a8eb 1064 9cbf", request("/", "http", "cache-control: no-cache"), 110],
      ["8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", request("/index.html", "https", "custom-key: custom-value"), 164]
    ]
  },
  {
    name: "C.5 responses without Huffman, with eviction",
    tableSize: 256,
    blocks: [
      [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        dated("302", "21"),
        222
      ],
      ["4803 3330 37c1 c0bf", dated("307", "21"), 222],
      [
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
        dated("200", "22", "content-encoding: gzip", cookie),
        215
      ]
    ]
  },
  {
    name: "C.6 responses with Huffman, with eviction",
    tableSize: 256,
    blocks: [
      [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        dated("302", "21"),
        222
      ],
      ["4883 640e ffc1 c0bf", dated("307", "21"), 222],
      [
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
        dated("200", "22", "content-encoding: gzip", cookie),
        215
      ]
    ]
  }
]

describe("HpackDecoder", () => {
  for (const { blocks, name, tableSize } of sequences) {
    it(`decodes RFC 7541 ${name}`, () => {
      const decoder = new HpackDecoder(4096, 65_536)
      decoder.table.resize(tableSize)
      for (const [hex, list, size] of blocks) {
        assert.deepStrictEqual(listOf(decode(decoder, bytes(hex))), list)
        assert.strictEqual(decoder.table.size, size)
      }
    })
  }

  const bad: ReadonlyArray<readonly [what: string, hex: string]> = [
    ["index 0", "80"],
    ["an index behind the table", "be"],
    ["a name index behind the table", "7f00 0161"],
    ["an integer cut short", "ff"],
    ["an integer too large", "ff80 8080 8080 01"],
    ["a string cut short", "0003 6162"],
    ["a name without a value", "0001 61"],
    ["a size update above the limit", "3fe2 1f"],
    ["a size update after a field", "8220"],
    ["Huffman padding that is not ones", "0001 6181 18"],
    ["Huffman padding of 8 bits", "0001 6182 1fff"],
    ["the EOS symbol", "0001 6184 ffff ffff"]
  ]
  for (const [what, hex] of bad) {
    it(`refuses ${what}`, () => {
      const decoder = new HpackDecoder(4096, 65_536)
      assert.throws(() => decode(decoder, bytes(hex)), /COMPRESSION_ERROR/)
    })
  }

  it("hands out the same object for a repeated block until the table changes", () => {
    const decoder = new HpackDecoder(4096, 65_536)
    decode(decoder, bytes("40 0161 0162"))
    const seen = [1, 2, 3, 4].map(() => decode(decoder, bytes("82 be")))
    assert.strictEqual(seen[3], seen[2])
    decode(decoder, bytes("40 0161 0163"))
    const later = [1, 2, 3, 4].map(() => decode(decoder, bytes("82 be")))
    assert.deepStrictEqual(listOf(later[3]!), [":method: GET", "a: c"])
  })

  it("wants a size update first when the acknowledged limit is below the table", () => {
    const decoder = new HpackDecoder(4096, 65_536)
    decoder.setLimit(100)
    assert.throws(() => decode(decoder, bytes("82")), /COMPRESSION_ERROR/)
    const other = new HpackDecoder(4096, 65_536)
    other.setLimit(100)
    assert.deepStrictEqual(listOf(decode(other, bytes("3f45 82"))), [":method: GET"])
    assert.strictEqual(other.table.maxSize, 100)
  })

  it("stops collecting at the list limit but keeps its table in step", () => {
    const decoder = new HpackDecoder(4096, 1000)
    // 1000 bytes of one value, then twenty references to it in five bytes each time
    const value = "x".repeat(900)
    decode(decoder, Buffer.concat([bytes("40 0161 7f 8506"), Buffer.from(value)]))
    const bomb = decode(decoder, bytes("be".repeat(20)))
    assert.isBelow(bomb.fields.length, 4)
    assert.strictEqual(bomb.flags, 8)
    assert.strictEqual(decode(decoder, bytes("be")).fields[1]?.length, 900)
  })
})

describe("Huffman", () => {
  it("encodes the examples of RFC 7541", () => {
    for (const [text, hex] of [
      ["www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"],
      ["no-cache", "a8eb10649cbf"],
      ["custom-value", "25a849e95bb8e8b4bf"],
      ["302", "6402"]
    ] as const) {
      const target = Buffer.alloc(Huffman.encodedLength(text))
      assert.strictEqual(Huffman.encode(text, target, 0), target.length)
      assert.strictEqual(target.toString("hex"), hex)
    }
  })
})

describe("HpackEncoder", () => {
  const encode = (encoder: HpackEncoder, block: HeaderBlock): Uint8Array => {
    const length = encoder.encode(block)
    return Uint8Array.prototype.slice.call(encoder.bytes, 0, length)
  }

  it("sends a reused block in a byte a field", () => {
    const encoder = new HpackEncoder(4096)
    const head = HeaderBlock.make([
      [":status", "200"],
      ["content-type", "application/grpc"]
    ])
    assert.isAbove(encode(encoder, head).length, 2)
    assert.deepStrictEqual([...encode(encoder, head)], [0x88, 0xbe])
    // a second block moves the indices of the first
    encode(encoder, HeaderBlock.make([["grpc-status", "0"]]))
    assert.deepStrictEqual([...encode(encoder, head)], [0x88, 0xbf])
  })

  it("never indexes sensitive fields nor caches one-off blocks", () => {
    const encoder = new HpackEncoder(4096)
    const decoder = new HpackDecoder(4096, 65_536)
    const secret = HeaderBlock.make([["authorization", "Bearer x"]], { sensitive: ["Authorization"] })
    for (const block of [secret, secret, HeaderBlock.make([["x-id", "1"]], { reuse: false })]) {
      const encoded = encode(encoder, block)
      decode(decoder, encoded)
      assert.strictEqual(decoder.table.size, 0)
      if (block === secret) assert.strictEqual(encoded[0]! >>> 4, 1)
    }
  })

  it("announces the smallest and the last table size", () => {
    const encoder = new HpackEncoder(4096)
    encoder.setPeerLimit(0)
    encoder.setPeerLimit(200)
    assert.deepStrictEqual([...encode(encoder, HeaderBlock.make([[":status", "200"]]))], [0x20, 0x3f, 0xa9, 0x01, 0x88])
    assert.deepStrictEqual([...encode(encoder, HeaderBlock.make([[":status", "200"]]))], [0x88])
  })

  it("agrees with the decoder over random blocks and table sizes", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = Seeded.make(seed)
      const encoder = new HpackEncoder(random.pick([4096, 4096, 300, 0]))
      const decoder = new HpackDecoder(4096, 1 << 20)
      const field = (): readonly [string, string] => [
        random.pick(["x-a", "x-b", "content-type", "grpc-status", "etag", `x-${random.below(40)}`]),
        random.text(random.pick([3, 30, 200]), "abc XYZ019~é\u007f").trim()
      ]
      const fields = (): Fields => Array.from({ length: random.below(8) }, field)
      const blocks = Array.from({ length: 12 }, () => HeaderBlock.make(fields(), { sensitive: ["etag"] }))
      for (let step = 0; step < 150; step++) {
        if (random.below(15) === 0) {
          const size = random.pick([0, 60, 150, 1000, 4096])
          encoder.setPeerLimit(size)
          decoder.setLimit(size)
        }
        const block = random.below(4) === 0 ? HeaderBlock.make(fields(), { reuse: random.below(2) === 0 }) : random.pick(blocks)
        const expected = block.fields.flatMap(({ name, value }) => [name, value])
        assert.deepStrictEqual(decode(decoder, encode(encoder, block)).fields, expected, `seed ${seed}, step ${step}`)
      }
    }
  })
})

describe("HeaderBlock", () => {
  it("puts right what cannot be sent", () => {
    const block = HeaderBlock.make([
      ["X-Upper", " a\r\nb "],
      [":status", "200"],
      ["connection", "close"],
      ["bad name", "x"],
      ["te", "gzip"],
      ["te", "trailers"],
      ["x-utf", "é→"]
    ])
    assert.deepStrictEqual(
      block.fields.map(({ name, value }) => `${name}=${value}`),
      [":status=200", "x-upper=a  b", "te=trailers", `x-utf=${Buffer.from("é→").toString("latin1")}`]
    )
  })
})
