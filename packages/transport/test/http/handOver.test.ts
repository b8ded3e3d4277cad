import { describe } from "@effect/vitest"
import * as net from "node:net"
import { laws } from "./HandOver.ts"

describe("a connection that node:http takes over", () => {
  laws(() => ({
    listen: (onSocket) => net.createServer({ noDelay: true }, onSocket),
    connect: (port) => net.connect(port, "127.0.0.1")
  }))
})
