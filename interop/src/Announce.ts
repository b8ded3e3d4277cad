/** What a server program tells whoever started it: its port, on standard output. It ends with its standard input. */
export const announce = (port: number): void => {
  process.stdout.write(`${JSON.stringify({ port })}\n`)
  process.stdin.on("end", () => process.exit(0))
  process.stdin.resume()
}
