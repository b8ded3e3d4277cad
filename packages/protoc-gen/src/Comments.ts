/**
 * The comments of a contract as data, for documents that a server makes of itself: descriptors at run time carry none. They are a module of their
 * own, which is loaded when somebody asks for such a document.
 */
import type { AnyDesc, DescEnum, DescMessage, DescService } from "@bufbuild/protobuf"
import * as DocComment from "./DocComment.ts"
import type * as Reasons from "./Reasons.ts"

/** Texts by full name, sorted by it. */
export type Comments = ReadonlyMap<string, string>

/** What is said of some services, of their methods and reasons, and of all that their messages are made of. */
export const collect = (services: ReadonlyArray<DescService>, reasons: ReadonlyArray<Reasons.Reason>): Comments => {
  const found = new Map<string, string>()
  const add = (name: string, desc: Exclude<AnyDesc, { kind: "file" }>): void => {
    const text = DocComment.lines(desc)
      // words to tools, not to readers
      .filter((line) => !line.startsWith("buf:lint:"))
      .join("\n")
      .trim()
    if (text !== "") found.set(name, text)
  }
  const seen = new Set<DescMessage | DescEnum>()
  const enumeration = (desc: DescEnum): void => {
    if (seen.has(desc) || isWellKnown(desc)) return
    seen.add(desc)
    add(desc.typeName, desc)
    const scope = desc.typeName.slice(0, desc.typeName.length - desc.name.length)
    for (const value of desc.values) add(scope + value.name, value)
  }
  const message = (desc: DescMessage): void => {
    if (seen.has(desc) || isWellKnown(desc)) return
    seen.add(desc)
    add(desc.typeName, desc)
    for (const oneof of desc.oneofs) add(`${desc.typeName}.${oneof.name}`, oneof)
    for (const field of desc.fields) {
      add(`${desc.typeName}.${field.name}`, field)
      if (field.message !== undefined) message(field.message)
      if (field.enum !== undefined) enumeration(field.enum)
    }
  }
  for (const service of services) {
    add(service.typeName, service)
    for (const method of service.methods) {
      add(`${service.typeName}.${method.name}`, method)
      message(method.input)
      message(method.output)
    }
  }
  for (const { value } of reasons) {
    const { typeName, name } = value.parent
    add(typeName.slice(0, typeName.length - name.length) + value.name, value)
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Types whose meaning everybody knows. */
const isWellKnown = (desc: DescMessage | DescEnum): boolean =>
  desc.file.proto.package === "google.protobuf" || desc.typeName === "google.api.HttpBody"

/** The declaration of a module of comments. */
export const print = (comments: Comments): ReadonlyArray<string> => [
  "/** Comments of the contract by full name. */",
  "export const comments: Readonly<Record<string, string>> = {",
  ...[...comments].map(
    ([name, text], index) => `  ${JSON.stringify(name)}: ${JSON.stringify(text)}${index < comments.size - 1 ? "," : ""}`
  ),
  "}",
  ""
]
