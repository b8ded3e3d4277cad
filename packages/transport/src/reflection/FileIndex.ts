/**
 * The files behind some services, as reflection asks for them: by name, by any symbol that they declare, by the extensions that they add to
 * a message. Made once; a file is serialised when it is first asked for.
 */
import { toBinary, type DescExtension, type DescFile, type DescService } from "@bufbuild/protobuf"
import { nestedTypes } from "@bufbuild/protobuf/reflect"
import { FileDescriptorProtoSchema, type DescriptorProto, type EnumDescriptorProto } from "@bufbuild/protobuf/wkt"

export interface FileIndex {
  /** Full names of the services, sorted. */
  readonly services: ReadonlyArray<string>
  /** By the name that other files import it by. */
  readonly byName: (name: string) => DescFile | undefined
  /** By the full name of a message, field, oneof, enum, value of an enum, extension, service or method. */
  readonly bySymbol: (symbol: string) => DescFile | undefined
  readonly byExtension: (extendee: string, number: number) => DescFile | undefined
  /** The numbers of the known extensions of a message, sorted; undefined when there is no such message. */
  readonly extensionNumbers: (extendee: string) => ReadonlyArray<number> | undefined
  /** A file with all that it imports, each after what it needs. */
  readonly withImports: (file: DescFile) => ReadonlyArray<DescFile>
  /** The file as a `FileDescriptorProto`. */
  readonly bytes: (file: DescFile) => Uint8Array
}

export const make = (services: ReadonlyArray<DescService>): FileIndex => {
  const files = new Map<string, DescFile>()
  const visit = (file: DescFile): void => {
    if (files.has(file.proto.name)) return
    for (const dependency of file.dependencies) visit(dependency)
    files.set(file.proto.name, file)
  }
  for (const service of services) visit(service.file)

  const symbols = new Map<string, DescFile>()
  const messages = new Set<string>()
  const extensions = new Map<string, Map<number, DescFile>>()
  for (const file of files.values()) {
    for (const name of symbolsOf(file, messages)) symbols.set(name, file)
    for (const extension of extensionsOf(file)) {
      const numbers = extensions.get(extension.extendee.typeName) ?? new Map<number, DescFile>()
      extensions.set(extension.extendee.typeName, numbers.set(extension.number, file))
    }
  }

  const bytes = new Map<DescFile, Uint8Array>()
  return {
    services: [...new Set(services.map((service) => service.typeName))].sort(),
    byName: (name) => files.get(name),
    bySymbol: (symbol) => symbols.get(symbol),
    byExtension: (extendee, number) => extensions.get(extendee)?.get(number),
    extensionNumbers: (extendee) =>
      messages.has(extendee) ? [...(extensions.get(extendee)?.keys() ?? [])].sort((a, b) => a - b) : undefined,
    withImports: (file) => {
      const found = new Set<DescFile>()
      const collect = (next: DescFile): void => {
        if (found.has(next)) return
        for (const dependency of next.dependencies) collect(dependency)
        found.add(next)
      }
      collect(file)
      return [...found]
    },
    bytes: (file) => {
      let encoded = bytes.get(file)
      if (encoded === undefined) bytes.set(file, (encoded = toBinary(FileDescriptorProtoSchema, file.proto)))
      return encoded
    }
  }
}

const extensionsOf = (file: DescFile): ReadonlyArray<DescExtension> => [...nestedTypes(file)].filter((type) => type.kind === "extension")

/** Read from the file as it was written: entries of maps are messages there. */
function* symbolsOf(file: DescFile, messages: Set<string>): Iterable<string> {
  const { enumType, extension, messageType, package: packageName, service } = file.proto
  const scope = packageName === "" ? "" : `${packageName}.`
  yield* enumSymbols(scope, enumType)
  for (const one of extension) yield scope + one.name
  for (const message of messageType) yield* messageSymbols(scope, message, messages)
  for (const one of service) {
    yield scope + one.name
    for (const method of one.method) yield `${scope}${one.name}.${method.name}`
  }
}

function* messageSymbols(scope: string, message: DescriptorProto, messages: Set<string>): Iterable<string> {
  const name = scope + message.name
  const inner = `${name}.`
  messages.add(name)
  yield name
  for (const member of [...message.field, ...message.oneofDecl, ...message.extension]) yield inner + member.name
  yield* enumSymbols(inner, message.enumType)
  for (const nested of message.nestedType) yield* messageSymbols(inner, nested, messages)
}

/** Values are siblings of their enum, not its members. */
function* enumSymbols(scope: string, enums: ReadonlyArray<EnumDescriptorProto>): Iterable<string> {
  for (const one of enums) {
    yield scope + one.name
    for (const value of one.value) yield scope + value.name
  }
}
