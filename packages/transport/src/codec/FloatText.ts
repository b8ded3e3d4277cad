/** Floating point numbers as the shortest decimal that reads back as the same number, in the two notations that Go has for it. */

/** Below it the digits of a number of 32 bits get fewer than six. */
const smallestNormal = 2 ** -126

/** A number of 32 bits as the number of 64 that has the same shortest decimal: 1.1, not 1.100000023841858. */
export const shorten = (value: number): number => {
  const single = Math.fround(value)
  // all that JavaScript prints in full is exact, and so is what has no fraction and few digits
  if (!Number.isFinite(single) || (Number.isInteger(single) && single < 16_777_216 && single > -16_777_216)) return single
  // six digits of such a number always come back, unless it is too small to have them
  for (let digits = Math.abs(single) < smallestNormal ? 1 : 6; digits < 9; digits++) {
    const short = Number(single.toPrecision(digits))
    if (Math.fround(short) === single) return even(single, digits) ?? short
  }
  return Number(single.toPrecision(9))
}

/** Of two decimals that are equally near, JavaScript takes the larger and Go the even one. */
const even = (single: number, digits: number): number | undefined => {
  const longer = single.toExponential(digits)
  if (Number(longer) !== single || !/[02468]\.?5e/.test(longer)) return undefined
  const down = Number(longer.replace(/\.?5e/, "e"))
  return Math.fround(down) === single ? down : undefined
}

/** As JavaScript and Go's JSON write it: an exponent from 1e21 and below 1e-6. */
export const json = (value: number, single: boolean): string => (Object.is(value, -0) ? "-0" : String(single ? shorten(value) : value))

/** As Go prints it (`%v`): an exponent of two digits or more from 1e+06 and below 0.0001, infinities with their sign. */
export const go = (value: number, single: boolean): string => {
  if (value === Infinity) return "+Inf"
  if (value === -Infinity) return "-Inf"
  if (Object.is(value, -0)) return "-0"
  const short = single ? shorten(value) : value
  const size = Math.abs(short)
  if (size === 0 || Number.isNaN(size) || (size >= 1e-4 && size < 1e6)) return String(short)
  return short.toExponential().replace(/e([+-])(\d)$/, "e$10$2")
}
