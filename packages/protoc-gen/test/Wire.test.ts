/**
 * The error options are read by their numbers on the wire, whoever wrote the contract. Here nothing of ours takes part in writing it: the options
 * are bytes, as a compiler with Kratos' own `errors.proto` puts them into a descriptor.
 */
import { create, fromBinary, getOption, toBinary } from "@bufbuild/protobuf"
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire"
import {
  CodeGeneratorRequestSchema,
  EnumDescriptorProtoSchema,
  EnumOptionsSchema,
  EnumValueOptionsSchema,
  FileDescriptorProtoSchema,
  MethodOptionsSchema,
  file_google_protobuf_descriptor
} from "@bufbuild/protobuf/wkt"
import { assert, describe, it } from "@effect/vitest"
import * as Errors from "../src/gen/errors/errors_pb.ts"
import * as Options from "../src/gen/effect/kratos/v1/options_pb.ts"
import * as Plugin from "../src/Plugin.ts"

const DEFAULT_CODE = 1108
const CODE = 1109

const option = (field: number, value: number): Uint8Array => new BinaryWriter().tag(field, WireType.Varint).int32(value).finish()

const contract = create(FileDescriptorProtoSchema, {
  name: "kratos/v1/reason.proto",
  package: "kratos.v1",
  syntax: "proto3",
  enumType: [
    create(EnumDescriptorProtoSchema, {
      name: "ErrorReason",
      options: fromBinary(EnumOptionsSchema, option(DEFAULT_CODE, 500)),
      value: [
        { name: "UNKNOWN", number: 0 },
        { name: "NOT_FOUND", number: 1, options: fromBinary(EnumValueOptionsSchema, option(CODE, 404)) }
      ]
    })
  ]
})

describe("error options", () => {
  it("are found in a contract that imports somebody else's errors.proto", () => {
    const request = create(CodeGeneratorRequestSchema, { fileToGenerate: [contract.name], protoFile: [contract] })
    // through bytes, as from a compiler
    const { response } = Plugin.generate(fromBinary(CodeGeneratorRequestSchema, toBinary(CodeGeneratorRequestSchema, request)))
    const classes = [...(response.file[0]?.content ?? "").matchAll(/export class (\w+) .*(\{ code.*\})\) \{\}/g)].map((match) => [
      match[1],
      match[2]
    ])
    assert.deepStrictEqual(classes, [
      ["Unknown", `{ code: 500, reason: "UNKNOWN" }`],
      ["NotFound", `{ code: 404, reason: "NOT_FOUND" }`]
    ])
  })

  it("extend the right messages under the right numbers", () => {
    assert.deepStrictEqual(
      [Errors.default_code, Errors.code, Options.errors].map((extension) => [
        extension.typeName,
        extension.extendee.typeName,
        extension.number
      ]),
      [
        ["errors.default_code", EnumOptionsSchema.typeName, DEFAULT_CODE],
        ["errors.code", EnumValueOptionsSchema.typeName, CODE],
        ["effect.kratos.v1.errors", MethodOptionsSchema.typeName, 51108]
      ]
    )
  })

  it("no option of protobuf itself has these numbers", () => {
    const taken = [EnumOptionsSchema, EnumValueOptionsSchema, MethodOptionsSchema].flatMap((schema) =>
      schema.fields.map((field) => field.number)
    )
    assert.isAbove(taken.length, 0)
    for (const number of [DEFAULT_CODE, CODE, 51108]) assert.notInclude(taken, number)
    // an enum without options has none of ours
    const plain = file_google_protobuf_descriptor.enums[0]
    assert.isDefined(plain)
    if (plain !== undefined) assert.strictEqual(getOption(plain, Errors.default_code), 0)
  })
})

describe("errors.Status", () => {
  it("has the field numbers of Kratos", () => {
    const bytes = new BinaryWriter()
      .tag(1, WireType.Varint)
      .int32(404)
      .tag(2, WireType.LengthDelimited)
      .string("NOT_FOUND")
      .tag(3, WireType.LengthDelimited)
      .string("nobody")
      .tag(4, WireType.LengthDelimited)
      .fork()
      .tag(1, WireType.LengthDelimited)
      .string("k")
      .tag(2, WireType.LengthDelimited)
      .string("v")
      .join()
      .finish()
    const { code, message, metadata, reason } = fromBinary(Errors.StatusSchema, bytes)
    assert.deepStrictEqual({ code, reason, message, metadata }, { code: 404, reason: "NOT_FOUND", message: "nobody", metadata: { k: "v" } })
  })
})
