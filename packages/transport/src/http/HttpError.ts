/** The errors that HTTP itself raises before a method is known or a body read. */
import * as KratosError from "@effect-kratos/core/error/KratosError"

export const notFound = (path: string): KratosError.KratosError => KratosError.notFound("", `no route for ${path.slice(0, 256)}`)

export const methodNotAllowed = (method: string, allow: ReadonlyArray<string>): KratosError.KratosError =>
  KratosError.make(405, "", `method ${method.slice(0, 32)} is not allowed here, only ${allow.join(", ")}`)

export const bodyTooLarge = (limit: number): KratosError.KratosError =>
  KratosError.make(413, "", `the body is larger than the limit of ${limit} bytes`)

export const badRequest = (message: string): KratosError.KratosError => KratosError.badRequest("CODEC", message)
