/**
 * What `google.protobuf.Any` may hold when nobody says: the messages of the file at hand, of all that it imports, and the well-known types. A peer cannot
 * name anything else.
 */
import { createRegistry, type DescFile, type DescMessage, type Registry } from "@bufbuild/protobuf"
import {
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers
} from "@bufbuild/protobuf/wkt"

const wellKnown: ReadonlyArray<DescFile> = [
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers
]

const known = new WeakMap<DescFile, Registry>()

/** The registry of a message's file; made once. */
export const of = ({ file }: DescMessage): Registry => {
  let registry = known.get(file)
  if (registry === undefined) {
    const files = new Set<DescFile>()
    const add = (file: DescFile): void => {
      if (files.has(file)) return
      files.add(file)
      file.dependencies.forEach(add)
    }
    for (const one of [...wellKnown, file]) add(one)
    known.set(file, (registry = createRegistry(...files)))
  }
  return registry
}
