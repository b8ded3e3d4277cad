const T="/work/wt/codecs/packages/transport/"
const GoPeer = await import(T+"test/codec/GoPeer.ts")
const D = await import(T+"test/codec/Differential.ts")
const { WideSchema } = await import(T+"test/gen/test/v1/rest_pb.ts")
const only = new RegExp(process.argv[2]!), N = Number(process.argv[3] ?? 200), show=Number(process.argv[4]??2)
const peer = GoPeer.start(GoPeer.program()!)
for (const pair of D.pairs.filter((p: any) => only.test(p.name))) {
  const seen = new Map<string, number>()
  const t=Date.now()
  for (let s = 0; s < N; s += 50) {
    const all = await Promise.all(Array.from({length: 50}, (_, i) => D.compare(pair, peer, s + i)))
    for (const {what, detail} of all.flat()) {
      seen.set(what, (seen.get(what) ?? 0) + 1)
      if (seen.get(what)! <= show) console.log("###", pair.name, what, "\n   ", detail.slice(0, 900))
    }
  }
  console.log("=====", pair.name, N, Date.now()-t, "ms", seen)
}
peer.close()
