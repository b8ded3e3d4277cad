/** Damage to a text that was well-formed: what is almost right gets deeper into a reader than noise does. */
import type { Random } from "./Random.ts"

/** Octets at which readers change their minds. */
const TURNING = [
  "\0",
  "\x01",
  "\t",
  "\n",
  "\r",
  " ",
  '"',
  "%",
  "&",
  "+",
  ",",
  "/",
  "0",
  "9",
  ":",
  ";",
  "=",
  "?",
  "[",
  "\\",
  "]",
  "{",
  "}",
  "\x7f",
  "\x80",
  "\xff"
]

const LONGEST = 65_536

/** Up to `most` changes; `words` are pieces of the format. */
export const mutate = (random: Random, text: string, words: ReadonlyArray<string> = [], most = 4): string => {
  let changed = text
  for (let i = random.below(most + 1); i > 0 && changed.length < LONGEST; i--) changed = once(random, changed, words)
  return changed
}

const once = (random: Random, text: string, words: ReadonlyArray<string>): string => {
  const at = random.below(text.length + 1)
  const to = Math.min(text.length, at + 1 + random.below(random.below(4) === 0 ? 64 : 4))
  const before = text.slice(0, at)
  switch (random.below(9)) {
    case 0: // a bit
      return at === text.length ? text : before + String.fromCharCode(text.charCodeAt(at) ^ (1 << random.below(8))) + text.slice(at + 1)
    case 1: // an octet in place of another
      return before + String.fromCharCode(random.below(256)) + text.slice(at + 1)
    case 2:
      return before + random.pick(TURNING) + text.slice(at)
    case 3:
      return before + text.slice(to)
    case 4: // a part twice, or often
      return before + text.slice(at, to).repeat(1 + random.below(random.below(8) === 0 ? 200 : 3)) + text.slice(at)
    case 5:
      return before
    case 6: // a part of elsewhere
      return before + text.slice(random.below(text.length + 1)).slice(0, 16) + text.slice(at)
    case 7:
      return before + random.pick(TURNING) + text.slice(at + 1)
    default:
      return words.length === 0
        ? before + random.octets(8) + text.slice(to)
        : before + random.pick(words) + text.slice(random.below(2) === 0 ? at : to)
  }
}
