/** Credentials for the servers that stand on grpc-js. */
import * as grpc from "@grpc/grpc-js"
import { tls } from "./tls.ts"

export const credentials: grpc.ServerCredentials =
  tls === undefined
    ? grpc.ServerCredentials.createInsecure()
    : grpc.ServerCredentials.createSsl(null, [{ cert_chain: tls.cert, private_key: tls.key }])
