/** Bodies: content types, JSON in all its spellings, forms, binary, raw bytes, bodies that are one field. */
import { create, toBinary } from "@bufbuild/protobuf"
import { WideSchema, Wide_NestedSchema } from "../../gen/test/v1/rest_pb.ts"
import { badJson, binds, form, json, refused, rule, type Expected, type Row } from "./Row.ts"

const post = (type: string | undefined, body: string | Uint8Array, message: Expected): Row =>
  binds("POST /v1/wide", "createWide", message, { body, ...(type === undefined ? undefined : { type }) })
const refusedBody = (type: string, body: string | Uint8Array, status: number, says = ""): Row =>
  refused("POST /v1/wide", status, says, { body, type })

const binary = toBinary(WideSchema, create(WideSchema, { int32Value: 7, nested: { name: "n" }, labels: { a: "b" } }))
const fromBinary = { int32Value: 7, nested: { name: "n" }, labels: { a: "b" } }
const nestedJson = (levels: number) => `${'{"nested":'}${'{"child":'.repeat(levels)}{}${"}".repeat(levels + 1)}`
const bytes = (...values: ReadonlyArray<number>) => Uint8Array.from(values)

export const bodies: ReadonlyArray<Row> = [
  // content types
  post("application/json", '{"far":"x"}', { far: "x" }),
  post("application/json; charset=utf-8", '{"far":"x"}', { far: "x" }),
  post("Application/JSON;charset=UTF-8", '{"far":"x"}', { far: "x" }),
  post(" application/json ;q=1", '{"far":"x"}', { far: "x" }),
  post("application/protojson", '{"far":"x"}', { far: "x" }),
  post(undefined, '{"far":"x"}', { far: "x" }),
  post("", '{"far":"x"}', { far: "x" }),
  post("application/proto", binary, fromBinary),
  post("application/protobuf", binary, fromBinary),
  post("application/x-protobuf; messageType=test.v1.Wide", binary, fromBinary),
  post("application/x-www-form-urlencoded", "far=x&int32_value=1", { far: "x", int32Value: 1 }),
  post("application/x-www-form-urlencoded; charset=UTF-8", "far=x", { far: "x" }),
  refusedBody("text/plain", '{"far":"x"}', 415, "text/plain"),
  refusedBody("application/pdf", "<a/>", 415, "application/pdf"),
  refusedBody("application/jsonx", "{}", 415),
  refusedBody("multipart/form-data; boundary=x", "--x--", 415),
  refusedBody("garbage", "{}", 415),
  // no body
  post("application/json", "", {}),
  post("text/plain", "", {}),
  post("application/proto", bytes(), {}),
  binds("POST /v1/wide", "createWide", {}),
  // the path against the body
  binds("POST /v1/tasks/7:cancel", "cancelTask", { id: "7", note: "n" }, { body: '{"id":"8","note":"n"}' }),
  binds("POST /v1/tasks/7:cancel?note=query", "cancelTask", { id: "7" }, { body: "{}" }),
  rule("POST /{choice_text} body=*", "POST /path", { choiceText: "path" }, { body: '{"choiceText":"body"}' }),
  { rule: "POST /{choice_text} body=*", line: "POST /path", body: '{"choiceNumber":1}', status: 400, reason: "CODEC", says: '"choice"' },
  rule("POST /{maybe_text} body=*", "POST /path", { maybeText: "path" }, { body: '{"maybeText":"body"}' }),
  { rule: "POST /a body=nested", line: "POST /a?int32_value=x", body: "{}", status: 400, reason: "CODEC", says: "int32_value" },
  // JSON: names, numbers, null
  json('{"int32_value":1,"doubleValue":2}', { int32Value: 1, doubleValue: 2 }),
  json('{"other-name":"a"}', { "other-name": "a" }),
  json('{"renamed":"a"}', { "other-name": "a" }),
  json('{"unknown":{"deep":[1,{}]},"far":"x"}', { far: "x" }),
  json("{}", {}),
  json(' \n\t{"far" : "x"} \r\n', { far: "x" }),
  json('\ufeff{"far":"x"}', { far: "x" }),
  json('{"int64Value":"9223372036854775807","uint64Value":1}', { int64Value: "9223372036854775807", uint64Value: "1" }),
  json('{"int32Value":"5","uint32Value":5.0,"sint32Value":1e2}', { int32Value: 5, uint32Value: 5, sint32Value: 100 }),
  json('{"doubleValue":"NaN","floatValue":"-Infinity"}', { doubleValue: "NaN", floatValue: "-Infinity" }),
  json('{"doubleValue":"1.5"}', { doubleValue: 1.5 }),
  json('{"color":1,"size":"SIZE_SMALL"}', { color: "COLOR_RED", size: "SIZE_SMALL" }),
  json('{"bytesValue":"_-8"}', { bytesValue: "/+8=" }),
  json('{"far":null,"nested":null,"strings":null,"labels":null,"maybeNumber":null,"choiceText":null}', {}),
  json('{"maybeNumber":0}', { maybeNumber: 0 }),
  json('{"far":"\\u00fc\\ud83d\\ude00"}', { far: "ü😀" }),
  json('{"strings":["a",""],"nesteds":[{},{"name":"x"}]}', { strings: ["a", ""], nesteds: [{}, { name: "x" }] }),
  json('{"labels":{"a":"b","__proto__":"c"}}', { labels: JSON.parse('{"a":"b","__proto__":"c"}') as object }),
  json('{"byLong":{"-1":{"name":"x"}},"byFlag":{"true":1}}', { byLong: { "-1": { name: "x" } }, byFlag: { true: "COLOR_RED" } }),
  json('{"timestamp":"2024-01-01T00:00:00+01:00","duration":"-1.5s"}', { timestamp: "2023-12-31T23:00:00Z", duration: "-1.500s" }),
  json('{"mask":"a,bC","struct":{"x":[null]},"value":null,"list":[1]}', { mask: "a,bC", struct: { x: [null] }, value: null, list: [1] }),
  json('{"wrappedInt64":"3","wrappedBool":false,"wrappedString":""}', { wrappedInt64: "3", wrappedBool: false, wrappedString: "" }),
  json('{"empty":{}}', { empty: {} }),
  json('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}', {}),
  json('{"choiceNested":{"name":"x"}}', { choiceNested: { name: "x" } }),
  json(nestedJson(97), { nested: JSON.parse(nestedJson(97)).nested as object }),
  // JSON that is refused
  badJson("{"),
  badJson("not json"),
  badJson("[]"),
  badJson('"text"'),
  badJson("null"),
  badJson("1"),
  badJson('{"far":"x"} {}'),
  badJson('{"far":"x",}'),
  badJson("{'far':'x'}"),
  badJson('{"far":"a\nb"}'),
  badJson('{"far":1}', "far"),
  badJson('{"int32Value":1.5}', "int32_value"),
  badJson('{"int32Value":2147483648}', "int32_value"),
  badJson('{"int32Value":"x"}', "int32_value"),
  badJson('{"int64Value":"9223372036854775808"}', "int64_value"),
  badJson('{"uint64Value":-1}', "uint64_value"),
  badJson('{"boolValue":"true"}', "bool_value"),
  badJson('{"doubleValue":1e999}', "double_value"),
  badJson('{"bytesValue":"*"}', "bytes_value"),
  badJson('{"color":true}', "Color"),
  badJson('{"strings":"a"}', "strings"),
  badJson('{"strings":[null]}', "strings"),
  badJson('{"labels":[]}', "labels"),
  badJson('{"byNumber":{"x":"y"}}', "by_number"),
  badJson('{"nested":[]}', "nested"),
  badJson('{"timestamp":"yesterday"}', "RFC 3339"),
  badJson('{"duration":"1m"}', "seconds"),
  badJson('{"choiceText":"a","choiceNumber":1}', "choice"),
  badJson('{"far":"a","far":"b"}', "far"),
  badJson('{"int32_value":1,"int32Value":2}', "int32_value"),
  badJson('{"labels":{"a":"1","a":"2"}}', "labels: a key is there twice"),
  badJson('{"any":{"@type":"type.googleapis.com/nobody.Knows"}}', "any: expected a type"),
  badJson(nestedJson(100), "nested deeper"),
  badJson(nestedJson(20_000), "nested deeper"),
  badJson(`{"value":${"[".repeat(5_000)}${"]".repeat(5_000)}}`, "nested deeper"),
  badJson(bytes(0x7b, 0x22, 0xff, 0x22, 0x7d), "UTF-8"),
  badJson(new TextEncoder().encode('{"far":"ü"}').subarray(0, 9), "UTF-8"),
  // forms
  form("far=a+b&nested.name=c", { far: "a b", nested: { name: "c" } }),
  form("strings=a&strings=b\r\n", { strings: ["a", "b"] }),
  form("unknown=1", {}),
  refusedBody("application/x-www-form-urlencoded", '{"far":"x"}', 400, "application/json"),
  refusedBody("application/x-www-form-urlencoded", "int32_value=x", 400, "int32_value"),
  refusedBody("application/x-www-form-urlencoded", bytes(0x66, 0x61, 0x72, 0x3d, 0xff), 400, "UTF-8"),
  refusedBody("application/x-www-form-urlencoded", "far=%zz", 400, "far"),
  // binary that is refused
  refusedBody("application/proto", bytes(0xff), 400, "proto"),
  refusedBody("application/proto", bytes(0x72, 0x05, 0x61), 400, "proto"),
  refusedBody("application/proto", bytes(0x72, 0x01, 0xff), 400, "proto"),
  // one field as the body
  binds("PUT /v1/wide/7", "replaceWide", { id: "7", wide: { far: "x" } }, { body: '{"far":"x"}' }),
  binds(
    "PUT /v1/wide/7?dry_run=true&update_mask=far",
    "replaceWide",
    { id: "7", wide: { far: "x" }, dryRun: true, updateMask: "far" },
    { body: '{"far":"x"}' }
  ),
  binds("PUT /v1/wide/7?wide.far=no&id=8", "replaceWide", { id: "7" }),
  binds("PUT /v1/wide/7", "replaceWide", { id: "7", wide: fromBinary }, { body: binary, type: "application/proto" }),
  binds("PUT /v1/wide/7", "replaceWide", { id: "7", wide: { far: "x" } }, { body: "far=x", type: "application/x-www-form-urlencoded" }),
  binds("PUT /v1/wide/7", "replaceWide", { id: "7" }, { body: "null" }),
  refused("PUT /v1/wide/7", 400, "json", { body: '{"far":"x"},"dryRun":true' }),
  refused("PUT /v1/wide/7", 400, "far: it is there twice", { body: '{"far":"a","far":"b"}' }),
  refused("PUT /v1/tags/7", 400, "json", { body: '["a"]}//' }),
  refused("PUT /v1/wide/7", 415, "text/html", { body: "x", type: "text/html" }),
  binds("PATCH /v1/wide/path", "updateWide", { wide: { stringValue: "path", far: "x" } }, { body: '{"stringValue":"body","far":"x"}' }),
  binds(
    "PATCH /v1/wide/path?update_mask=far,nested.name",
    "updateWide",
    { wide: { stringValue: "path" }, updateMask: "far,nested.name" },
    { body: "{}" }
  ),
  binds("PUT /v1/tags/7", "putTags", { id: "7", tags: ["a", "b"] }, { body: '["a","b"]' }),
  binds("PUT /v1/tags/7", "putTags", { id: "7" }, { body: "[]" }),
  refused("PUT /v1/tags/7", 400, "tags", { body: '"a"' }),
  refused("PUT /v1/tags/7", 415, "proto", { body: bytes(1), type: "application/proto" }),
  rule("PUT /a body=far", "PUT /a", { far: "text" }, { body: '"text"' }),
  rule("PUT /a body=int64_value", "PUT /a", { int64Value: "5" }, { body: "5" }),
  rule("PUT /a body=labels", "PUT /a", { labels: { a: "b" } }, { body: '{"a":"b"}' }),
  rule("PUT /a body=struct", "PUT /a", { struct: { a: 1 } }, { body: '{"a":1}' }),
  rule("PUT /a body=wrapped_string", "PUT /a", { wrappedString: "x" }, { body: '"x"' }),
  rule("PUT /a body=timestamp", "PUT /a", { timestamp: "2024-01-01T00:00:00Z" }, { body: '"2024-01-01T00:00:00Z"' }),
  rule("PUT /a body=choice_nested", "PUT /a", { choiceNested: { name: "x" } }, { body: '{"name":"x"}' }),
  rule(
    "PUT /a body=choice_nested",
    "PUT /a",
    { choiceNested: { name: "x" } },
    {
      body: toBinary(Wide_NestedSchema, create(Wide_NestedSchema, { name: "x" })),
      type: "application/proto"
    }
  ),
  rule("PUT /a body=nested", "PUT /a?far=y", { nested: { name: "x" }, far: "y" }, { body: '{"name":"x"}' }),
  // raw bytes
  binds(
    "POST /v1/uploads/n?folder=f",
    "upload",
    { name: "n", folder: "f", file: { contentType: "image/png", data: "AAEC" } },
    { body: bytes(0, 1, 2), type: "image/png" }
  ),
  binds("POST /v1/uploads/n", "upload", { name: "n", file: { data: "AAEC" } }, { body: bytes(0, 1, 2) }),
  binds(
    "POST /v1/uploads/n",
    "upload",
    { name: "n", file: { contentType: "application/json", data: "e30=" } },
    { body: "{}", type: "application/json" }
  ),
  binds("POST /v1/uploads/n?file.content_type=no", "upload", { name: "n" })
]
