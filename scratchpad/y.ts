const T="/work/wt/codecs/packages/transport/"
const GoPeer = await import(T+"test/codec/GoPeer.ts")
const { WideSchema } = await import(T+"test/gen/test/v1/rest_pb.ts")
const { create, toBinary, fromBinary } = await import("@bufbuild/protobuf")
const Yaml = await import(T+"src/codec/Yaml.ts")
const peer = GoPeer.start(GoPeer.program()!)
for (const x of ["\n.0", "\nx", "\n,#[", "a\n b", " a\nb", "\n a", "a\n", "\n", "\t\n", "a\n\n", "\n世<", "x\u2028 y", "x\n\u2028 y","a\tb\nc", "- a\nb", "#\nb: c", "a:\n  b", "\r\n","\u0085", "\na\n", "é\u0000"]) for (const init of [{far: x}, {strings:[x]}, {nested:{name:x}}, {labels:{[x]: "v"}}]) {
  const m = create(WideSchema, init as any)
  const g: any = await peer.ask("encode", "v3/yaml", WideSchema.typeName, toBinary(WideSchema, m))
  if (!g.data) { console.log(g); continue }
  const t = new TextDecoder().decode(g.data)
  const back: any = await peer.ask("decode", "v3/yaml", WideSchema.typeName, g.data)
  const mine: any = Yaml.codec.decode(WideSchema, g.data)
  const pick = (v: any) => "far" in init ? v.far : "strings" in init ? v.strings[0] : "nested" in init ? v.nested?.name : Object.keys(v.labels)[0]
  const o = mine._tag === "Success" ? pick(mine.success) : mine.failure.message
  const gb = back.data ? pick(fromBinary(WideSchema, back.data)) : back.error
  if (o !== x || gb !== x) console.log(JSON.stringify(x), "ours", JSON.stringify(o), "go", JSON.stringify(gb), JSON.stringify(/(far: |strings:|nested:|labels:)[^]*?(?=\n\w|$)/.exec(t)![0]))
}
peer.close()
