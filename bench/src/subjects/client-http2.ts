/** The floor of `node:http2`: a session, a request, the codec that ts-proto generates; the status is looked at, nothing else of gRPC. */
import * as http2 from "node:http2"
import { HelloReply, HelloRequest } from "../gen/ts-proto/helloworld/v1/greeter.ts"
import { port, serve } from "./caller.ts"
import { framed } from "./framed.ts"

const session = http2.connect(`http://127.0.0.1:${port}`)
const head = { ":method": "POST", ":path": "/helloworld.v1.Greeter/SayHello", "content-type": "application/grpc", te: "trailers" }

serve((inFlight, run) => {
  const call = () => {
    const stream = session.request(head)
    const chunks: Array<Buffer> = []
    let status: unknown
    stream.on("data", (chunk: Buffer) => chunks.push(chunk))
    stream.on("trailers", (trailers) => (status = trailers["grpc-status"]))
    stream.on("error", run.failed)
    stream.on("end", () => {
      if (status !== "0") return run.failed(`status ${String(status)}`)
      const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
      run.answered(HelloReply.decode(body.subarray(5)).message)
      if (run.going()) call()
    })
    stream.end(framed(HelloRequest.encode({ name: "kratos" }).finish()))
  }
  for (let i = 0; i < inFlight; i++) call()
})
