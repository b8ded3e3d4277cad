/** A message behind the five bytes of gRPC's framing. */
export const framed = (message: Uint8Array): Buffer => {
  const frame = Buffer.allocUnsafe(5 + message.length)
  frame[0] = 0
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, 5)
  return frame
}
