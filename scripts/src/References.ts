/** TypeScript's project references, held to what the package.json files say: `tsc -b` must build everything, in the right order. */
export interface Project {
  /** From the repository's root. */
  readonly folder: string
  readonly name: string | undefined
  /** Names under dependencies, devDependencies and peerDependencies. */
  readonly dependencies: ReadonlyArray<string>
  /** Folders that its tsconfig.json refers to, from the root; undefined when it has none. */
  readonly references: ReadonlyArray<string> | undefined
  /** True when it has TypeScript sources. */
  readonly typescript: boolean
}

/** What is missing, one sentence each. `listed` are the references of the root's tsconfig.json. */
export const problems = (projects: ReadonlyArray<Project>, listed: ReadonlyArray<string>): ReadonlyArray<string> => {
  const folders = new Map(projects.map((project) => [project.name, project.folder]))
  const withConfig = new Set(projects.flatMap((project) => (project.references === undefined ? [] : [project.folder])))
  return projects.flatMap((project) => {
    if (project.references === undefined)
      return project.typescript ? [`${project.folder} has no tsconfig.json: nothing type-checks it`] : []
    const unlisted = listed.includes(project.folder) ? [] : [`tsconfig.json does not refer to ${project.folder}: nothing type-checks it`]
    const missing = project.dependencies.flatMap((name) => {
      const folder = folders.get(name)
      if (folder === undefined || !withConfig.has(folder) || project.references?.includes(folder)) return []
      return [`${project.folder}/tsconfig.json does not refer to ${folder}, which package.json depends on`]
    })
    return [...unlisted, ...missing]
  })
}
