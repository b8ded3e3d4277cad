/**
 * Routes of a program's own beside its services: `POST /upload` takes a form with files, `GET /files/{name}` sends one back. The limits are those of
 * the form; what a client names a file is a name and never a path.
 */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Multipart from "effect/http/Multipart"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"

export interface Options {
  readonly directory: string
  /** Largest file, in bytes. Default 8 MiB. */
  readonly maxFileBytes?: number | undefined
}

const Form = Schema.Struct({ file: Multipart.FilesSchema })

/** Errors in the form that the services' REST has. */
const failed = (error: KratosError.KratosError) => HttpServerResponse.jsonUnsafe(error.toJSON(), { status: error.code })

/** Letters, digits, dot, dash and underscore, not beginning with a dot, at most 100. */
const isName = (name: string): boolean => /^[\w-][\w.-]{0,99}$/.test(name)
const badName = failed(KratosError.badRequest("FILE_NAME", "a file name has letters, digits, dots, dashes and underscores, 100 at most"))

export const MAX_FILE_BYTES = 8_388_608

/** A form may hold so many of the largest files; the server's `maxBodyBytes` must allow for it. */
export const FILES = 4

export const routes = ({ directory, maxFileBytes = MAX_FILE_BYTES }: Options) => {
  const upload = Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const { file } = yield* HttpServerRequest.schemaBodyMultipart(Form)
    if (file.length === 0 || file.some(({ name }) => !isName(name))) return badName
    yield* fs.makeDirectory(directory, { recursive: true })
    // renamed into place: nobody downloads half a file
    for (const { name, path: temporary } of file) {
      const target = path.join(directory, name)
      yield* fs.copyFile(temporary, `${target}.part`)
      yield* fs.rename(`${target}.part`, target)
    }
    return HttpServerResponse.jsonUnsafe({ files: file.map(({ name }) => name) }, { status: 201 })
  }).pipe(
    Effect.provideContext(Multipart.limitsServices({ maxParts: 16, maxFileSize: maxFileBytes, maxTotalSize: maxFileBytes * FILES })),
    Effect.catchTags({
      MultipartError: ({ reason }) =>
        Effect.succeed(
          failed(
            reason._tag === "Parse"
              ? KratosError.badRequest("FORM", "the body is not a form")
              : KratosError.make(413, "FILE_TOO_LARGE", `a file may have ${maxFileBytes} bytes`)
          )
        ),
      SchemaError: () => Effect.succeed(failed(KratosError.badRequest("FORM", "the form needs a field `file` with a file")))
    })
  )

  const download = Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const { name = "" } = yield* HttpRouter.params
    if (!isName(name)) return badName
    const file = path.join(directory, name)
    if (!(yield* fs.exists(file))) return failed(KratosError.notFound("FILE_NOT_FOUND", `there is no file ${name}`))
    return yield* HttpServerResponse.file(file, { headers: { "content-disposition": `attachment; filename="${name}"` } })
  })

  return Layer.mergeAll(HttpRouter.add("POST", "/upload", upload), HttpRouter.add("GET", "/files/:name", download))
}
