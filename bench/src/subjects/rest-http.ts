/** The floor of `node:http`: one handler, the path cut by hand, head and body in one write. */
import * as http from "node:http"
import { announce } from "./announce.ts"

const prefix = "/helloworld/"

const server = http.createServer((request, response) => {
  const path = request.url ?? ""
  if (request.method !== "GET" || !path.startsWith(prefix)) {
    response.writeHead(404).end()
    return
  }
  const body = JSON.stringify({ message: `Hello ${decodeURIComponent(path.slice(prefix.length))}` })
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) }).end(body)
})
server.listen(0, "127.0.0.1", () => announce(server.address()))
