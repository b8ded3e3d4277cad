/** Names as parts of paths. */

/** What ZooKeeper takes in no path: controls, private use, specials, and by its count of UTF-16 units all beyond the basic plane. */
const refused = /[\p{Cc}\p{Cs}\ue000-\uf8ff\ufff0-\uffff\u{10000}-\u{10ffff}]/u

/** Why a name cannot be that of a node; undefined where it can. */
export const problem = (name: string): string | undefined => {
  if (name === "") return "an empty name is no node"
  if (name === "." || name === "..") return `"${name}" is no name of a node`
  if (name.includes("/")) return `"${name}" has a slash, which parts nodes`
  return refused.test(name) ? `${JSON.stringify(name)} has characters that ZooKeeper does not take` : undefined
}

/** `/a/b` of `a/b/`: one slash in front, none behind. */
export const normalize = (path: string): string => {
  const parts = path.split("/").filter((part) => part !== "")
  return parts.length === 0 ? "" : `/${parts.join("/")}`
}
