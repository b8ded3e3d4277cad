/**
 * What `package-lock.json` has to be so that `npm ci` works anywhere: no host named, and every optional platform package listed.
 * npm drops optional packages that the registry at hand does not carry, and then refuses its own lock file; such entries are
 * completed from the package's name. They carry no integrity hash: nothing here may invent one.
 */
export interface LockEntry {
  readonly version?: string
  readonly resolved?: string
  readonly link?: boolean
  readonly dev?: boolean
  readonly optional?: boolean
  readonly os?: ReadonlyArray<string>
  readonly cpu?: ReadonlyArray<string>
  readonly libc?: ReadonlyArray<string>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

export interface Lockfile {
  readonly packages: Readonly<Record<string, LockEntry>>
}

export interface Missing {
  readonly name: string
  readonly version: string
  readonly dev: boolean
}

const systems = new Set(["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"])
const processors: Readonly<Record<string, string>> = {
  aarch64: "arm64",
  arm: "arm",
  arm64: "arm64",
  armv7: "arm",
  ia32: "ia32",
  loong64: "loong64",
  mips64el: "mips64el",
  ppc64: "ppc64",
  riscv64: "riscv64",
  s390x: "s390x",
  x64: "x64"
}

/** Reads system, processor and C library out of names such as `@oxfmt/binding-linux-x64-musl`; undefined when there are none. */
export const platformOf = (name: string): Pick<LockEntry, "os" | "cpu" | "libc"> | undefined => {
  const words = name.split(/[/-]/)
  const os = words.find((word) => systems.has(word))
  const cpu = words.flatMap((word) => processors[word] ?? [])[0]
  if (os === undefined || cpu === undefined) return undefined
  const libc =
    os !== "linux"
      ? undefined
      : words.some((word) => word.startsWith("musl"))
        ? "musl"
        : words.some((word) => word.startsWith("gnu"))
          ? "glibc"
          : undefined
  return { os: [os], cpu: [cpu], ...(libc === undefined ? {} : { libc: [libc] }) }
}

/** The pinned optional dependencies that no entry of the lock file satisfies. */
export const missing = (lock: Lockfile): ReadonlyArray<Missing> => {
  const found = new Map<string, Missing>()
  for (const [path, entry] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const listed = lock.packages[`node_modules/${name}`] ?? lock.packages[`${path}/node_modules/${name}`]
      if (listed === undefined) found.set(name, { name, version, dev: entry.dev === true })
    }
  }
  return [...found.values()]
}

/** Adds an entry for each missing platform package that is pinned to one version; leaves the others alone. */
export const complete = <L extends Lockfile>(lock: L): L => {
  const additions: Array<[string, LockEntry]> = []
  for (const { dev, name, version } of missing(lock)) {
    const platform = platformOf(name)
    if (platform === undefined || !/^\d+\.\d+\.\d+[\w.+-]*$/.test(version)) continue
    additions.push([`node_modules/${name}`, { version, ...(dev ? { dev } : {}), optional: true, ...platform }])
  }
  const entries = [...Object.entries(lock.packages), ...additions].sort(([a], [b]) => a.localeCompare(b, "en"))
  return { ...lock, packages: Object.fromEntries(entries) }
}

/** What is wrong with the lock file, one sentence each. */
export const problems = (lock: Lockfile): ReadonlyArray<string> => [
  ...Object.entries(lock.packages).flatMap(([path, entry]) =>
    entry.resolved === undefined || entry.link === true ? [] : [`${path} names where it was downloaded from: ${entry.resolved}`]
  ),
  ...missing(lock).map(({ name, version }) => `${name}@${version} is an optional dependency without an entry: run \`npm run lockfile\``)
]
