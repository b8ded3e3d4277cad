/** Comments of a contract as doc comments of the generated code. */
import type { DescEnumValue, DescService } from "@bufbuild/protobuf"
import { getComments } from "@bufbuild/protoplugin"

/** As doc comment: the text, and a `@deprecated` tag; empty when there is neither. */
export const of = (desc: DescEnumValue | DescService): ReadonlyArray<string> => {
  const text = lines(desc)
  return block(isDeprecated(desc) ? [...text, "@deprecated"] : text)
}

/** The leading comment, else the trailing one, line by line; empty when there is neither. */
export const lines = (desc: Parameters<typeof getComments>[0]): ReadonlyArray<string> => {
  const { leading, trailing } = getComments(desc)
  const found = (leading ?? trailing ?? "")
    .trimEnd()
    .split("\n")
    .map((line) => line.replace(/^ /, "").trimEnd())
  return found.join("\n") === "" ? [] : found
}

const isDeprecated = (desc: DescEnumValue | DescService): boolean =>
  desc.deprecated || (desc.kind === "enum_value" && desc.parent.deprecated)

const block = (lines: ReadonlyArray<string>): ReadonlyArray<string> => {
  const safe = lines.map((line) => line.replaceAll("*/", "*\\/"))
  if (safe.length === 0) return []
  if (safe.length === 1) return [`/** ${safe[0]} */`]
  return ["/**", ...safe.map((line) => (line === "" ? " *" : ` * ${line}`)), " */"]
}
