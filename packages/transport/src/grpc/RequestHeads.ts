/** The heads of a method's requests, over any protocol and version of HTTP. */
import type { DescMethod } from "@bufbuild/protobuf"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type { ClientProtocol } from "../ClientProtocol.ts"
import type { Carrier, HeadForm } from "../ClientRoute.ts"
import * as HeaderFields from "../HeaderFields.ts"
import { operationOf } from "../Method.ts"
import type { Outgoing } from "../Outgoing.ts"

export interface Options<Head> {
  readonly desc: DescMethod
  readonly protocol: ClientProtocol
  readonly headForm: HeadForm<Head>
}

/** The head of one call; an error when its metadata cannot be sent. */
export type RequestHeads<Head> = (
  connection: Carrier<Head>,
  call: Outgoing,
  /** What is left of its time, in milliseconds. */
  timeout: number | undefined,
  /** Of a GET; undefined for a POST. */
  query: string | undefined
) => Head | KratosError.KratosError

/** One a node, to which a call adds its timeout and metadata; one a call for those whose message is in the query. */
export const make = <Head>({ desc, headForm, protocol }: Options<Head>): RequestHeads<Head> => {
  const made = new WeakMap<Carrier<Head>, Head>()
  const path = operationOf(desc)
  const pseudo = ({ authority, scheme }: Carrier<Head>, method: string, target: string) =>
    [
      [":method", method],
      [":scheme", scheme],
      [":path", target],
      [":authority", authority]
    ] as const
  const posted = (connection: Carrier<Head>): Head => {
    let head = made.get(connection)
    if (head === undefined) {
      head = headForm.make([...pseudo(connection, "POST", path), ...protocol.head], true)
      made.set(connection, head)
    }
    return head
  }
  /** Calls in a row mostly have the same time. */
  let last: { readonly head: Head; readonly timeout: string; readonly timed: Head } | undefined
  const timed = (head: Head, field: readonly [string, string]): Head => {
    if (last === undefined || last.head !== head || last.timeout !== field[1])
      last = { head, timeout: field[1], timed: headForm.extend(head, [field]) }
    return last.timed
  }
  return (connection, call, timeout, query) => {
    const head =
      query === undefined
        ? posted(connection)
        : // only protocols that have it ask for it
          headForm.make([...pseudo(connection, "GET", path + query), ...protocol.get!.head], false)
    if (call.request.size === 0) return timeout === undefined ? head : timed(head, protocol.timeout(timeout))
    const metadata = HeaderFields.fromMetadata(call.request)
    if (metadata instanceof KratosError.KratosError) return metadata
    return headForm.extend(head, timeout === undefined ? metadata : [protocol.timeout(timeout), ...metadata])
  }
}
