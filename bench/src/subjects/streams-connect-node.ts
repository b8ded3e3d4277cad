/** @connectrpc/connect-node: streams are async generators, as its guide shows it. */
import { connectNodeAdapter } from "@connectrpc/connect-node"
import * as http2 from "node:http2"
import { Load } from "../gen/es/bench/v1/load_pb.ts"
import { announce } from "./announce.ts"

const handler = connectNodeAdapter({
  routes: (router) =>
    router.service(Load, {
      async *download(request) {
        const chunk = { data: new Uint8Array(request.bytes) }
        for (let i = 0; i < request.count; i++) yield chunk
      },
      async upload(chunks) {
        const summary = { count: 0, bytes: 0 }
        for await (const { data } of chunks) {
          summary.count++
          summary.bytes += data.length
        }
        return summary
      },
      async *chat(chunks) {
        for await (const { data } of chunks) yield { data }
      },
      echo: (chunk) => ({ data: chunk.data })
    })
})
const server = http2.createServer(handler)
server.listen(0, "127.0.0.1", () => announce(server.address()))
