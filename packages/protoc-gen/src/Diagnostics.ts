/**
 * What the generator has to say about a contract. Errors stop the generation, all of them are reported at once; warnings do not.
 * Only files that are being generated are judged: nobody can mend a dependency.
 */
import type { DescFile } from "@bufbuild/protobuf"

/** A place in a contract: a file and the full name of something in it. */
export interface Place {
  readonly file: DescFile
  readonly name: string
}

export interface Diagnostics {
  readonly errors: ReadonlyArray<string>
  readonly warnings: ReadonlyArray<string>
  readonly error: (place: Place, message: string) => void
  readonly warn: (place: Place, message: string) => void
}

export const make = (generated: ReadonlyArray<DescFile>): Diagnostics => {
  const judged = new Set(generated)
  const errors: Array<string> = []
  const warnings: Array<string> = []
  const report = (into: Array<string>) => (place: Place, message: string) => {
    if (judged.has(place.file)) into.push(`${place.file.name}.proto: ${place.name}: ${message}`)
  }
  return { errors, warnings, error: report(errors), warn: report(warnings) }
}
