/** Text that a peer sends, with limits: whole, or line by line as it comes. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** The lines, without empty ones. A last line that does not end is one that broke off, and is left out. */
export const split =
  <E2>(limit: number, tooLong: () => E2) =>
  <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<string, E | E2, R> =>
    Stream.suspend(() => {
      const decoder = new TextDecoder()
      let parts: Array<string> = []
      let length = 0
      return bytes.pipe(
        Stream.mapEffect((chunk): Effect.Effect<ReadonlyArray<string>, E2> => {
          const text = decoder.decode(chunk, { stream: true })
          const lines: Array<string> = []
          let from = 0
          for (let to = text.indexOf("\n"); to >= 0; to = text.indexOf("\n", from)) {
            length += to - from
            if (length > limit) return Effect.fail(tooLong())
            if (length > 0) lines.push(parts.join("") + text.slice(from, to))
            parts = []
            length = 0
            from = to + 1
          }
          if (from < text.length) {
            length += text.length - from
            if (length > limit) return Effect.fail(tooLong())
            parts.push(text.slice(from))
          }
          return Effect.succeed(lines)
        }),
        Stream.flattenIterable
      )
    })

/** All of it. */
export const text =
  <E2>(limit: number, tooLong: () => E2) =>
  <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Effect.Effect<string, E | E2, R> =>
    Effect.suspend(() => {
      const decoder = new TextDecoder()
      let text = ""
      return Stream.runForEach(bytes, (chunk) => {
        text += decoder.decode(chunk, { stream: true })
        return text.length > limit ? Effect.fail(tooLong()) : Effect.void
      }).pipe(Effect.map(() => text + decoder.decode()))
    })
