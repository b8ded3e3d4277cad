/** Which reasons a method can raise: those that its option `effect.kratos.v1.errors` names, or all of its package. */
import { getOption, hasOption } from "@bufbuild/protobuf"
import type { DescMethod, DescService } from "@bufbuild/protobuf"
import type * as Diagnostics from "./Diagnostics.ts"
import * as Options from "./gen/effect/kratos/v1/options_pb.ts"
import * as Reasons from "./Reasons.ts"

/** One list for the whole service, or one for each method as soon as one method has the option. */
export type ServiceErrors =
  | { readonly kind: "service"; readonly reasons: ReadonlyArray<Reasons.Reason> }
  | {
      readonly kind: "methods"
      readonly methods: ReadonlyArray<{ readonly localName: string; readonly reasons: ReadonlyArray<Reasons.Reason> }>
    }

export const ofService = (service: DescService, reasons: Reasons.Reasons, diagnostics: Diagnostics.Diagnostics): ServiceErrors => {
  const ofPackage = reasons.get(service.file.proto.package) ?? []
  if (!service.methods.some((method) => hasOption(method, Options.errors))) return { kind: "service", reasons: ofPackage }
  return {
    kind: "methods",
    methods: service.methods.map((method) => ({
      localName: method.localName,
      reasons: hasOption(method, Options.errors) ? named(method, reasons, diagnostics) : ofPackage
    }))
  }
}

/** Every reason of a service, each once. */
export const all = (errors: ServiceErrors): ReadonlyArray<Reasons.Reason> =>
  errors.kind === "service" ? errors.reasons : [...new Set(errors.methods.flatMap((method) => method.reasons))]

const named = (method: DescMethod, reasons: Reasons.Reasons, diagnostics: Diagnostics.Diagnostics): ReadonlyArray<Reasons.Reason> => {
  const { file, typeName } = method.parent
  const place = { file, name: `${typeName}.${method.name}` }
  const found = new Set<Reasons.Reason>()
  for (const name of getOption(method, Options.errors)) {
    // the empty name says: none
    if (name === "") continue
    const reason = find(file.proto.package, name, reasons)
    if (reason === undefined)
      diagnostics.error(
        place,
        `error ${JSON.stringify(name)} is no value of an error enum that this file's package or imports declare with a code`
      )
    else found.add(reason)
  }
  const list = [...found]
  const twin = list.find((reason, index) => list.findIndex((other) => other.tag === reason.tag) < index)
  if (twin !== undefined) diagnostics.warn(place, `two of its errors have the tag ${twin.tag}, so catchTag cannot tell them apart`)
  return list
}

const find = (packageName: string, name: string, reasons: Reasons.Reasons): Reasons.Reason | undefined => {
  const sibling = reasons.get(packageName)?.find((reason) => reason.value.name === name)
  if (sibling !== undefined) return sibling
  const dot = name.lastIndexOf(".")
  return reasons.get(dot < 0 ? "" : name.slice(0, dot))?.find((reason) => reason.value.name === name.slice(dot + 1))
}
