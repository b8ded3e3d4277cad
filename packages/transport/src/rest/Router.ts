/**
 * Finds the route of a request: one trie of segments per HTTP method, walked over the raw path without splitting it.
 *
 * Precedence is by segment, left to right, and does not depend on the order of registration: literal, then variable, then bare `*`, then a
 * variable of `**`, then bare `**`; the walk goes back when a better start leads nowhere. A path with a known verb (`:cancel`) prefers a
 * template with that verb. A route of the request's own method comes before one of any method (`*`), for HEAD also one of GET. Two templates of one method with the
 * same shape cannot be told apart: the first wins and the other is listed in `shadowed`.
 */
import * as PathTemplate from "./PathTemplate.ts"

/** A template under a method, with what it leads to. The method `*` stands for every method. */
export interface Route<out A> {
  readonly method: string
  readonly template: PathTemplate.PathTemplate
  readonly value: A
}

/** `variables` holds one decoded value per variable of the template, in its order. */
export interface Found<out A> {
  readonly _tag: "Found"
  readonly route: Route<A>
  readonly variables: ReadonlyArray<string>
}

/** No template has this path. */
export interface NotFound {
  readonly _tag: "NotFound"
}

/** The path exists under other methods; `allow` lists them, sorted. */
export interface MethodNotAllowed {
  readonly _tag: "MethodNotAllowed"
  readonly allow: ReadonlyArray<string>
}

/** The path's percent-encoding is broken, or its bytes are not UTF-8: 400. */
export interface BadPath {
  readonly _tag: "BadPath"
}

export type Match<A> = Found<A> | NotFound | MethodNotAllowed | BadPath

export interface Router<out A> {
  /** `path` is the raw path of the request target, without the query. */
  readonly match: (method: string, path: string) => Match<A>
  /** The methods under which a path exists, sorted; `["*"]` when every method will do. For `OPTIONS`, and for `HEAD` on a `GET` route. */
  readonly allowed: (path: string) => ReadonlyArray<string>
  /** Routes that can never match, because an earlier one has the same method and shape. */
  readonly shadowed: ReadonlyArray<Route<A>>
}

/** Deeper paths match only a `**` within reach. */
const maxSegments = 256

const notFound: NotFound = { _tag: "NotFound" }
const badPath: BadPath = { _tag: "BadPath" }
const noVariables: ReadonlyArray<string> = []

export const make = <A>(routes: Iterable<Route<A>>): Router<A> => {
  const tries = new Map<string, Trie<A>>()
  const shadowed: Array<Route<A>> = []
  for (const route of routes) {
    const method = route.method.toUpperCase()
    let trie = tries.get(method)
    if (trie === undefined) tries.set(method, (trie = new Trie()))
    if (!trie.add(route)) shadowed.push(route)
  }
  const any = tries.get("*")
  const get = tries.get("GET")

  const allowed = (path: string): ReadonlyArray<string> => {
    const methods: Array<string> = []
    for (const [method, trie] of tries) {
      const match = trie.match(path)
      if (match !== undefined && match._tag === "Found") methods.push(method)
    }
    return methods.includes("*") ? ["*"] : methods.sort()
  }

  const match = (method: string, path: string): Match<A> => {
    // HEAD is GET without a body, where nobody says otherwise (RFC 9110, section 9.3.2)
    const found = tries.get(method)?.match(path) ?? (method === "HEAD" ? get?.match(path) : undefined) ?? any?.match(path)
    if (found !== undefined) return found
    const allow = allowed(path)
    if (allow.length > 0) return { _tag: "MethodNotAllowed", allow }
    return PathTemplate.decode(path, false) === undefined ? badPath : notFound
  }
  return { match, allowed, shadowed }
}

/** Where routes end: without a verb, or with one of these. */
class Leaf<A> {
  plain: Route<A> | undefined = undefined
  verbs: Map<string, Route<A>> | undefined = undefined

  get(verb: string | undefined): Route<A> | undefined {
    return verb === undefined ? this.plain : this.verbs?.get(verb)
  }
}

class Node<A> {
  /** Compared in place while there are few, looked up when there are many. */
  readonly literals: Array<{ readonly text: string; readonly node: Node<A> }> = []
  readonly byText = new Map<string, Node<A>>()
  variable: Node<A> | undefined = undefined
  star: Node<A> | undefined = undefined
  leaf: Leaf<A> | undefined = undefined
  boundRest: Leaf<A> | undefined = undefined
  rest: Leaf<A> | undefined = undefined
}

class Trie<A> {
  private readonly root = new Node<A>()
  /** Whole paths without wildcards. They are the best match wherever they match at all. */
  private readonly fixed = new Map<string, Route<A>>()
  private readonly verbs = new Set<string>()

  // The walk in progress. Matching never suspends, so one set of fields serves all.
  private path = ""
  private end = 0
  private verb: string | undefined = undefined
  private encoded = false
  private readonly starts = new Int32Array(maxSegments + 1)
  private readonly ends = new Int32Array(maxSegments + 1)

  /** False when a route of the same shape is there already. */
  add(route: Route<A>): boolean {
    const { segments, verb } = route.template
    let node = this.root
    let leaf: Leaf<A> | undefined
    for (const segment of segments) {
      if (segment.kind === "rest") {
        leaf = segment.bound ? (node.boundRest ??= new Leaf()) : (node.rest ??= new Leaf())
      } else if (segment.kind === "one") {
        node = segment.bound ? (node.variable ??= new Node()) : (node.star ??= new Node())
      } else {
        let next = node.byText.get(segment.text)
        if (next === undefined) {
          next = new Node()
          node.byText.set(segment.text, next)
          node.literals.push({ text: segment.text, node: next })
        }
        node = next
      }
    }
    leaf ??= node.leaf ??= new Leaf()
    if (leaf.get(verb) !== undefined) return false
    if (verb === undefined) leaf.plain = route
    else {
      leaf.verbs ??= new Map()
      leaf.verbs.set(verb, route)
      this.verbs.add(verb)
    }
    if (
      segments.every((segment) => segment.kind === "literal") &&
      !route.template.source.includes("%") &&
      route.template.variables.length === 0
    ) {
      this.fixed.set(route.template.source, route)
    }
    return true
  }

  match(path: string): Found<A> | BadPath | undefined {
    const fixed = this.fixed.get(path)
    if (fixed !== undefined) return { _tag: "Found", route: fixed, variables: noVariables }
    if (path.charCodeAt(0) !== 47) return undefined
    this.path = path
    this.encoded = path.includes("%")
    if (this.encoded && PathTemplate.decode(path, false) === undefined) return badPath
    const route = (this.verbs.size > 0 ? this.withVerb() : undefined) ?? this.withoutVerb()
    return route === undefined ? undefined : { _tag: "Found", route, variables: this.capture(route.template.variables) }
  }

  private withoutVerb(): Route<A> | undefined {
    this.end = this.path.length
    this.verb = undefined
    return this.walk(this.root, 1, 0)
  }

  private withVerb(): Route<A> | undefined {
    const colon = this.path.lastIndexOf(":")
    if (colon === -1 || colon < this.path.lastIndexOf("/")) return undefined
    const verb = this.decoded(colon + 1, this.path.length)
    if (!this.verbs.has(verb)) return undefined
    this.end = colon
    this.verb = verb
    return this.walk(this.root, 1, 0)
  }

  /** `position` is where the segment number `depth` starts; beyond `end` when there is none. */
  private walk(node: Node<A>, position: number, depth: number): Route<A> | undefined {
    if (position > this.end) {
      const route = node.leaf?.get(this.verb)
      if (route !== undefined) return route
    } else if (depth < maxSegments) {
      const slash = this.path.indexOf("/", position)
      const stop = slash === -1 || slash > this.end ? this.end : slash
      this.starts[depth] = position
      this.ends[depth] = stop
      const literal = this.literal(node, position, stop)
      let route = literal === undefined ? undefined : this.walk(literal, stop + 1, depth + 1)
      if (route !== undefined) return route
      if (stop > position) {
        if (node.variable !== undefined && (route = this.walk(node.variable, stop + 1, depth + 1)) !== undefined) return route
        if (node.star !== undefined && (route = this.walk(node.star, stop + 1, depth + 1)) !== undefined) return route
      }
    }
    const route = node.boundRest?.get(this.verb) ?? node.rest?.get(this.verb)
    if (route !== undefined) {
      // behind the end when none is left: the rest is empty
      this.starts[depth] = position
      this.ends[depth] = this.end
    }
    return route
  }

  private literal(node: Node<A>, start: number, stop: number): Node<A> | undefined {
    const literals = node.literals
    if (literals.length === 0) return undefined
    if (this.encoded) return node.byText.get(this.decoded(start, stop))
    if (literals.length > 16) return node.byText.get(this.path.slice(start, stop))
    for (let index = 0; index < literals.length; index++) {
      const { node: next, text } = literals[index]!
      if (text.length === stop - start && this.path.startsWith(text, start)) return next
    }
    return undefined
  }

  private capture(variables: ReadonlyArray<PathTemplate.Variable>): ReadonlyArray<string> {
    if (variables.length === 0) return noVariables
    const values: Array<string> = []
    for (let index = 0; index < variables.length; index++) {
      const variable = variables[index]!
      const raw = this.path.slice(this.starts[variable.start], this.ends[variable.end - 1])
      // broken encoding was refused before the walk
      values.push(this.encoded ? PathTemplate.decode(raw, variable.multi)! : raw)
    }
    return values
  }

  private decoded(start: number, stop: number): string {
    const raw = this.path.slice(start, stop)
    return this.encoded ? PathTemplate.decode(raw, false)! : raw
  }
}
