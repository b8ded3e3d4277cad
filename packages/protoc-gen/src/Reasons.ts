/**
 * The reason classes of a contract: one for each value of an error enum that has a code. An error enum is a top-level enum with
 * `errors.default_code`, or with a value that has `errors.code`; a value's own code goes before the enum's, and code 0 makes no class.
 * Those are the rules of Kratos' generator, so that a contract yields the same errors in Go and here.
 */
import { getOption } from "@bufbuild/protobuf"
import type { DescEnum, DescEnumValue, DescFile, DescMessage } from "@bufbuild/protobuf"
import { safeIdentifier } from "@bufbuild/protoplugin"
import * as ClassName from "./ClassName.ts"
import type * as Diagnostics from "./Diagnostics.ts"
import * as Options from "./gen/errors/errors_pb.ts"

export interface Reason {
  readonly file: DescFile
  readonly value: DescEnumValue
  /** What `catchTag` takes. */
  readonly tag: string
  /** The exported name; differs from the tag only where JavaScript reserves it. */
  readonly className: string
  readonly code: number
}

/** All reasons by proto package, ordered by file name and declaration. */
export type Reasons = ReadonlyMap<string, ReadonlyArray<Reason>>

/** The name of an enum value in a contract: values are siblings of their enum. */
export const fullName = (packageName: string, name: string): string => (packageName === "" ? name : `${packageName}.${name}`)

/** Collects the reasons of `files`, which are all files of a request. */
export const collect = (files: ReadonlyArray<DescFile>, diagnostics: Diagnostics.Diagnostics): Reasons => {
  const reasons = new Map<string, Array<Reason>>()
  const services = new Set(files.flatMap((file) => file.services.map((service) => service.typeName)))
  const byName = [...files].sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const file of byName) {
    file.messages.forEach((message) => warnNested(message, diagnostics))
    const packageName = file.proto.package
    for (const descEnum of file.enums) {
      for (const value of descEnum.values) {
        const code = codeOf(descEnum, value, diagnostics)
        if (code === undefined) continue
        const camel = ClassName.fromValueName(value.name)
        if (camel === "") {
          diagnostics.error({ file, name: descEnum.typeName }, `value ${value.name} leaves no class name`)
          continue
        }
        // a service of that name has the older claim: its name is on the wire
        const tag = services.has(fullName(packageName, camel)) ? `${camel}Error` : camel
        const reason: Reason = { file, value, tag, className: safeIdentifier(tag), code }
        const siblings = reasons.get(packageName) ?? []
        const twin = siblings.find((other) => other.className === reason.className)
        if (twin !== undefined) {
          diagnostics.error(
            { file, name: descEnum.typeName },
            `value ${value.name} and value ${twin.value.name} of ${twin.value.parent.typeName} both become class ${tag}`
          )
          continue
        }
        if (services.has(fullName(packageName, tag))) {
          diagnostics.error({ file, name: descEnum.typeName }, `value ${value.name} becomes class ${tag}, which is the name of a service`)
          continue
        }
        reasons.set(packageName, [...siblings, reason])
      }
    }
  }
  return reasons
}

/** The code under which a value is an error; undefined when it is none. */
const codeOf = (descEnum: DescEnum, value: DescEnumValue, diagnostics: Diagnostics.Diagnostics): number | undefined => {
  const code = getOption(value, Options.code) || getOption(descEnum, Options.default_code)
  if (code === 0) return undefined
  const place = { file: descEnum.file, name: descEnum.typeName }
  if (code < 100 || code > 600) {
    diagnostics.error(place, `value ${value.name} has code ${code}, but a code is an HTTP status from 100 to 600`)
    return undefined
  }
  if (code < 400) diagnostics.warn(place, `value ${value.name} has code ${code}, which callers do not take for a failure`)
  return code
}

const warnNested = (message: DescMessage, diagnostics: Diagnostics.Diagnostics): void => {
  for (const descEnum of message.nestedEnums) {
    const isMarked =
      getOption(descEnum, Options.default_code) !== 0 || descEnum.values.some((value) => getOption(value, Options.code) !== 0)
    if (isMarked)
      diagnostics.warn(
        { file: descEnum.file, name: descEnum.typeName },
        "error enums must be at the top level of a file; this one yields no classes"
      )
  }
  message.nestedMessages.forEach((nested) => warnNested(nested, diagnostics))
}
