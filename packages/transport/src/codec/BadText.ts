/** Text that is not a value of its type. The message says what was expected, never what was found: that may be a secret. */
export class BadText extends Error {
  static expected(what: string): BadText {
    return new BadText(`expected ${what}`)
  }
}
