/** nice-grpc: streams are async generators, as its readme shows it. */
import { createServer } from "nice-grpc"
import { LoadDefinition, type LoadServiceImplementation } from "../gen/ts-proto/bench/v1/load.ts"
import { announce } from "./announce.ts"

const load: LoadServiceImplementation = {
  async *download(request) {
    const chunk = { data: Buffer.alloc(request.bytes) }
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
    yield* chunks
  },
  echo: async (chunk) => chunk
}

const server = createServer()
server.add(LoadDefinition, load)
announce(await server.listen("127.0.0.1:0"))
