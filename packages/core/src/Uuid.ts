/** Names that are unique without asking anybody. */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

const hex: ReadonlyArray<string> = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

/** A random UUID (version 4) that costs four draws. Not a secret: whoever knows the generator's state knows the next one. */
export const fromRandom = (random: { readonly nextDoubleUnsafe: () => number }): string => {
  const a = (random.nextDoubleUnsafe() * 4_294_967_296) >>> 0
  const b = (random.nextDoubleUnsafe() * 4_294_967_296) >>> 0
  const c = (random.nextDoubleUnsafe() * 4_294_967_296) >>> 0
  const d = (random.nextDoubleUnsafe() * 4_294_967_296) >>> 0
  const version = `${hex[((b >>> 8) & 0x0f) | 0x40]!}${hex[b & 255]!}`
  const variant = `${hex[((c >>> 24) & 0x3f) | 0x80]!}${hex[(c >>> 16) & 255]!}`
  return (
    `${hex[a >>> 24]!}${hex[(a >>> 16) & 255]!}${hex[(a >>> 8) & 255]!}${hex[a & 255]!}-${hex[b >>> 24]!}${hex[(b >>> 16) & 255]!}-` +
    `${version}-${variant}-${hex[(c >>> 8) & 255]!}${hex[c & 255]!}${hex[d >>> 24]!}${hex[(d >>> 16) & 255]!}${hex[(d >>> 8) & 255]!}${hex[d & 255]!}`
  )
}

/** A random UUID (version 4) from `Random`. */
export const random: Effect.Effect<string> = Effect.map(Random.Random, fromRandom)
