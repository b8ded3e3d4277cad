/** Fastify as its guide shows it for speed: no logger, a response schema from which it compiles the JSON writer. */
import { fastify } from "fastify"
import { announce } from "./announce.ts"

const app = fastify({ logger: false })
const reply = { type: "object", properties: { message: { type: "string" } } }

app.get<{ Params: { name: string } }>("/helloworld/:name", { schema: { response: { 200: reply } } }, (request, response) => {
  response.send({ message: `Hello ${request.params.name}` })
})
await app.listen({ port: 0, host: "127.0.0.1" })
announce(app.server.address())
