import type { Target } from "../Target.ts"
import { client } from "./client.ts"
import { codecs, jsonText } from "./codecs.ts"
import { chunks, frames } from "./frames.ts"
import { decoding, roundTrip } from "./hpack.ts"
import { exchange, head } from "./http1.ts"
import { kubernetes } from "./kubernetes.ts"
import { binary, initialiser, json, jsonReader } from "./protobuf.ts"
import { whole } from "./server.ts"
import { streams } from "./streams.ts"
import { texts } from "./texts.ts"
import { connection, records } from "./zookeeper.ts"

export const targets: ReadonlyArray<Target> = [
  frames,
  chunks,
  decoding,
  roundTrip,
  head,
  exchange,
  binary,
  initialiser,
  json,
  jsonReader,
  ...codecs,
  jsonText,
  ...streams,
  ...texts,
  records,
  connection,
  kubernetes,
  whole,
  client
]
