/** Messages on standard input and output as the runner of the suite has them: four bytes of length, big-endian, then the message in binary. */
import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf"

export const write = <D extends DescMessage>(schema: D, message: MessageShape<D>): void => {
  const bytes = toBinary(schema, message)
  const framed = Buffer.allocUnsafe(4 + bytes.length)
  framed.writeUInt32BE(bytes.length, 0)
  framed.set(bytes, 4)
  process.stdout.write(framed)
}

/** Ends with standard input. */
export async function* read<D extends DescMessage>(schema: D): AsyncGenerator<MessageShape<D>, void> {
  let rest = Buffer.alloc(0)
  for await (const chunk of process.stdin) {
    rest = Buffer.concat([rest, chunk as Buffer]) // no encoding is set
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
      const end = 4 + rest.readUInt32BE(0)
      yield fromBinary(schema, rest.subarray(4, end))
      rest = rest.subarray(end)
    }
  }
}
