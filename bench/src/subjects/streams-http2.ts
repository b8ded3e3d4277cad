/** Bare `node:http2`, one write a message. */
import { Chunk } from "../gen/ts-proto/bench/v1/load.ts"
import { framed } from "./framed.ts"
import { serve } from "./http2-load.ts"

serve((stream, chunk, count) => {
  let sent = 0
  const send = () => {
    while (sent < count) {
      sent++
      if (!stream.write(framed(Chunk.encode(chunk).finish()))) {
        stream.once("drain", send)
        return
      }
    }
    stream.end()
  }
  send()
})
