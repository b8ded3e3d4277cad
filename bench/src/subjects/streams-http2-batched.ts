/** Bare `node:http2`, messages put together until they are 64 KiB and written at once: as fast as it gets without leaving `node:http2`. */
import { Chunk } from "../gen/ts-proto/bench/v1/load.ts"
import { framed } from "./framed.ts"
import { serve } from "./http2-load.ts"

const BATCH = 65_536

serve((stream, chunk, count) => {
  let sent = 0
  const send = () => {
    while (sent < count) {
      const batch: Array<Buffer> = []
      for (let bytes = 0; sent < count && bytes < BATCH; sent++) {
        const frame = framed(Chunk.encode(chunk).finish())
        bytes += frame.length
        batch.push(frame)
      }
      if (!stream.write(Buffer.concat(batch))) {
        stream.once("drain", send)
        return
      }
    }
    stream.end()
  }
  send()
})
