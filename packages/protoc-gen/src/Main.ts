/** The program: a CodeGeneratorRequest on stdin, a CodeGeneratorResponse on stdout, warnings on stderr. */
import { runNodeJs } from "@bufbuild/protoplugin"
import * as Plugin from "./Plugin.ts"

export const run = (version: string): void =>
  runNodeJs({
    name: Plugin.name,
    version,
    run: (request) => {
      const { response, warnings } = Plugin.generate(request)
      for (const warning of warnings) process.stderr.write(`${Plugin.name}: warning: ${warning}\n`)
      return response
    }
  })
