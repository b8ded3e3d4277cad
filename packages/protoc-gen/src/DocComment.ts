/** Comments of a contract as doc comments of the generated code. */
import type { DescEnumValue, DescService } from "@bufbuild/protobuf"
import { getComments } from "@bufbuild/protoplugin"

/** The leading comment, else the trailing one, and a `@deprecated` tag; empty when there is neither. */
export const of = (desc: DescEnumValue | DescService): ReadonlyArray<string> => {
  const { leading, trailing } = getComments(desc)
  const lines = (leading ?? trailing ?? "")
    .trimEnd()
    .split("\n")
    .map((line) => line.replace(/^ /, "").trimEnd())
  const text = lines.join("\n") === "" ? [] : lines
  return block(isDeprecated(desc) ? [...text, "@deprecated"] : text)
}

const isDeprecated = (desc: DescEnumValue | DescService): boolean =>
  desc.deprecated || (desc.kind === "enum_value" && desc.parent.deprecated)

const block = (lines: ReadonlyArray<string>): ReadonlyArray<string> => {
  const safe = lines.map((line) => line.replaceAll("*/", "*\\/"))
  if (safe.length === 0) return []
  if (safe.length === 1) return [`/** ${safe[0]} */`]
  return ["/**", ...safe.map((line) => (line === "" ? " *" : ` * ${line}`)), " */"]
}
