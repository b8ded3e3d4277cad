/** The variables of a `google.api.http` path: `/v1/{book.name=shelves/*}:read` has one, `book.name`. */

export type Variables =
  | { readonly kind: "variables"; readonly names: ReadonlyArray<string> }
  | { readonly kind: "malformed"; readonly why: string }

const VARIABLE = /^\s*([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)\s*(?:=([^{}]+))?$/

export const variables = (path: string): Variables => {
  if (!path.startsWith("/")) return { kind: "malformed", why: "it does not start with a slash" }
  const names: Array<string> = []
  const rest = path.replace(/\{([^{}]*)\}/g, (_, inner: string) => {
    names.push(inner)
    return ""
  })
  if (/[{}]/.test(rest)) return { kind: "malformed", why: "its braces do not match" }
  const parsed = names.map((inner) => VARIABLE.exec(inner)?.[1])
  const bad = parsed.indexOf(undefined)
  if (bad >= 0) return { kind: "malformed", why: `{${names[bad]}} is no variable` }
  const fields = parsed.filter((name) => name !== undefined)
  const twice = fields.find((name, index) => fields.indexOf(name) !== index)
  return twice === undefined ? { kind: "variables", names: fields } : { kind: "malformed", why: `variable ${twice} occurs twice` }
}
