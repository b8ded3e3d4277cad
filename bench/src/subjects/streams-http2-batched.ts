/** Bare `node:http2`, messages put together until they are 64 KiB and written at once: as fast as it gets without leaving `node:http2`. */
import { chunks, serve } from "./http2-load.ts"

const BATCH = 65_536

serve((stream, data, count) => {
  let sent = 0
  const send = () => {
    while (sent < count) {
      const some = Math.min(count - sent, Math.max(1, Math.floor(BATCH / (data.length + 8))))
      sent += some
      if (!stream.write(chunks(data, some))) {
        stream.once("drain", send)
        return
      }
    }
    stream.end()
  }
  send()
})
