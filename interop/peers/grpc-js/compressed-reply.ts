/** grpc-js hides how a reply was encoded, so this one call goes over bare `node:http2`: a gzip request, and the bytes of its reply. */
import * as assert from "node:assert/strict"
import * as http2 from "node:http2"
import { gunzipSync, gzipSync } from "node:zlib"
import * as contract from "./contract.ts"

/** Expects that a compressed request is answered in kind. */
export const compressedReply = async (target: string): Promise<void> => {
  const session = http2.connect(`http://${target}`)
  try {
    const payload = Buffer.alloc(100_000)
    const body = gzipSync(contract.RequestCodec.encode({ text: "z", payload }))
    const stream = session.request({
      ":method": "POST",
      ":path": "/test.v1.Echo/Unary",
      "content-type": "application/grpc",
      te: "trailers",
      "grpc-encoding": "gzip",
      "grpc-accept-encoding": "gzip"
    })
    const prefix = Buffer.alloc(5)
    prefix[0] = 1
    prefix.writeUInt32BE(body.length, 1)
    stream.end(Buffer.concat([prefix, body]))
    const seen: { headers?: http2.IncomingHttpHeaders; trailers?: http2.IncomingHttpHeaders } = {}
    stream.on("response", (headers) => (seen.headers = headers))
    stream.on("trailers", (trailers) => (seen.trailers = trailers))
    const chunks: Array<Buffer> = []
    for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk)
    const reply = Buffer.concat(chunks)
    assert.equal(seen.trailers?.["grpc-status"], "0")
    assert.equal(seen.headers?.["grpc-encoding"], "gzip")
    assert.equal(reply[0], 1, "the reply's message is not flagged as compressed")
    assert.equal(reply.readUInt32BE(1), reply.length - 5)
    assert.equal(contract.ReplyCodec.decode(gunzipSync(reply.subarray(5))).payload.length, payload.length)
  } finally {
    session.close()
  }
}
