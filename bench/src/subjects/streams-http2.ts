/** Bare `node:http2`, one write a message. */
import { chunks, serve } from "./http2-load.ts"

serve((stream, data, count) => {
  let sent = 0
  const send = () => {
    while (sent < count) {
      sent++
      if (!stream.write(chunks(data, 1))) {
        stream.once("drain", send)
        return
      }
    }
    stream.end()
  }
  send()
})
