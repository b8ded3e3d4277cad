/** The repository as its checks see it: tracked and new files, workspaces and what they depend on. */
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../..", import.meta.url))

export interface Manifest {
  readonly name?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

export const read = (path: string): string => readFileSync(join(root, path), "utf8")

/** Every file that is tracked or could be (new and not ignored), from the root, sorted. */
export const files = (): ReadonlyArray<string> =>
  execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024
  })
    .split("\0")
    // a file that is deleted but not yet committed is still listed
    .filter((path) => path !== "" && existsSync(join(root, path)))
    .toSorted()

/** The package.json files of the workspaces, by folder. */
export const manifests = (paths: ReadonlyArray<string>): ReadonlyMap<string, Manifest> => {
  const found = new Map<string, Manifest>()
  for (const path of paths) {
    const folder = /^((?:packages|examples)\/(?:contrib\/)?[^/]+|bench|fuzz|interop|scratchpad)\/package\.json$/.exec(path)?.[1]
    // package.json is npm's format; the fields that are read are optional
    if (folder !== undefined) found.set(folder, JSON.parse(read(path)) as Manifest)
  }
  return found
}
