/** Hono on its Node adapter, as its guide shows it. */
import { serve } from "@hono/node-server"
import { Hono } from "hono"
import { announce } from "./announce.ts"

const app = new Hono()
app.get("/helloworld/:name", (c) => c.json({ message: `Hello ${c.req.param("name")}` }))
serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, (info) => announce(info))
