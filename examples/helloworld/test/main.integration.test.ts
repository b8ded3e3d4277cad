/** The programs as a person meets them: what they print, what works when pasted, how they end. */
import * as Directory from "@effect-kratos/core/registry/Directory"
import * as Channels from "@effect-kratos/transport/Channels"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Greeter } from "../src/gen/helloworld/v1/greeter_effect.ts"
import * as Program from "./Program.ts"

let directory = ""
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "effect-kratos-helloworld-"))
})
afterEach(() => {
  Program.killAll()
  rmSync(directory, { recursive: true })
})

const environment = async (port?: string) => ({ PORT: port ?? (await Program.freePort()), REGISTRY_DIR: directory })

const registered = (): ReadonlyArray<string> => readdirSync(join(directory, "helloworld")).filter((name) => name.endsWith(".json"))

const calls = (program: Program.Program): number => program.stdout().split("server request").length - 1

/** Everything that is printed by a program that fails, once it has. */
const failure = async (env: Readonly<Record<string, string>>): Promise<string> => {
  const program = Program.start(env)
  assert.strictEqual(await program.exit, 1)
  return program.stdout() + program.stderr()
}

describe("the server", () => {
  it("prints lines that work as they are", async () => {
    const env = await environment()
    const program = Program.start(env)
    await program.printed("Ctrl-C")
    const lines = [...program.stdout().matchAll(/^ {4}(\S.*)$/gm)].map(([, line]) => line ?? "")
    const expected: ReadonlyArray<readonly [start: string, output: RegExp]> = [
      [`curl http://localhost:${env.PORT}/helloworld/kratos`, /^\{"message":"Hello kratos"\}$/],
      [`curl http://localhost:${env.PORT}/helloworld/nobody`, /"code":404,"reason":"USER_NOT_FOUND"/],
      ["npx buf curl --protocol grpc ", /^\{\s*"message": "Hello kratos"\s*\}\s*$/],
      ["npx buf curl --protocol grpcweb ", /^\{\s*"message": "Hello kratos"\s*\}\s*$/],
      ["curl -H 'content-type: application/json' -d", /^\{"message":"Hello kratos"\}$/],
      [`curl http://localhost:${env.PORT}/openapi.json`, /^\{"openapi":"3\.1\.0".*"USER_NOT_FOUND"/],
      ["npm run call -- kratos", /^Hello kratos$/m],
      [`curl http://localhost:${env.PORT}/readyz`, /^ok\nregistry: registered$/]
    ]
    assert.strictEqual(lines.length, expected.length, lines.join("\n"))
    for (const [index, [start, output]] of expected.entries()) {
      const line = lines[index] ?? ""
      assert.isTrue(line.startsWith(start), `${line} should start with ${start}`)
      const { status, stderr, stdout } = Program.shell(line, env)
      assert.strictEqual(status, 0, `${line}\n${stderr}`)
      assert.match(stdout.trimEnd(), output, `${line}\n${program.stdout()}`)
    }
  })

  it("ends with 0 at SIGTERM, and is in the registry no more", async () => {
    const program = Program.start(await environment())
    await program.printed("Ctrl-C")
    assert.lengthOf(registered(), 1)
    program.kill("SIGTERM")
    assert.strictEqual(await program.exit, 0)
    assert.lengthOf(registered(), 0)
    assert.strictEqual(program.stderr(), "")
  })

  it("says in one line that the port is taken, and how to take another", async () => {
    const env = await environment()
    const program = Program.start(env)
    await program.printed("Ctrl-C")
    const text = await failure(env)
    assert.match(text, /^cannot listen on \S+:\d+\b.*\n$/)
    const hint = /PORT=(\d+) npm start/.exec(text)?.[1]
    assert.strictEqual(hint, String(Number(env.PORT) + 1))
    assert.lengthOf(registered(), 1, "the one that failed is not registered")
  })

  it.each(["abc", "70000", "80.5"])("says in one line that PORT=%s is no port", async (port) => {
    assert.match(await failure(await environment(port)), /^bad configuration: .*PORT.*\n$/)
  })

  it("says which directory it cannot use", async () => {
    const file = join(directory, "file")
    writeFileSync(file, "")
    const { PORT } = await environment()
    const lines = (await failure({ PORT, REGISTRY_DIR: file })).trimEnd().split("\n")
    assert.include(lines.at(-1), file)
    assert.include(lines.at(-1), "registry")
  })
})

describe("the client", () => {
  const call = (name: string, env: Readonly<Record<string, string>>) => Program.shell(`npm run --silent call -- ${name}`, env)

  it("says that nobody is there, with 1", async () => {
    const env = await environment()
    const program = Program.start(env)
    await program.printed("Ctrl-C")
    assert.deepStrictEqual(call("nobody", env), { status: 1, stdout: "", stderr: "nobody there: user nobody was not found\n" })
    await program.printed("server request")
  })

  it("says how to start a greeter when there is none", async () => {
    const { status, stderr, stdout } = call("kratos", await environment())
    assert.deepStrictEqual([status, stdout], [1, ""])
    assert.match(stderr, /^no node of discovery:\/\/\/helloworld is available: .*"npm start".*\n$/)
  })

  it("says so when the greeter was killed and the registry does not know yet", async () => {
    const env = await environment()
    const program = Program.start(env)
    await program.printed("Ctrl-C")
    program.kill("SIGKILL")
    assert.strictEqual(await program.exit, "SIGKILL")
    assert.lengthOf(registered(), 1)
    const { status, stderr } = call("kratos", env)
    assert.strictEqual(status, 1)
    assert.match(stderr, /^cannot connect to \S+: .*"npm start".*\n$/)
  })

  it("finds two greeters, and goes on with the one that is left", async () => {
    const first = Program.start(await environment())
    await first.printed("Ctrl-C")
    const second = Program.start(await environment())
    await second.printed("Ctrl-C")
    assert.lengthOf(registered(), 2)

    const RegistryLive = Directory.layer({ path: directory }).pipe(Layer.provide(NodeServices.layer))
    const Client = Greeter.client("discovery:///helloworld").pipe(Layer.provide(Channels.layer), Layer.provide(RegistryLive))
    await Effect.gen(function* () {
      const greeter = yield* Greeter
      const tenCalls = Effect.repeat(greeter.sayHello({ name: "kratos" }), { times: 9 })
      yield* tenCalls
      yield* Effect.promise(() => Promise.all([first.printed("server request"), second.printed("server request")]))

      first.kill("SIGTERM")
      assert.strictEqual(yield* Effect.promise(() => first.exit), 0)
      const before = calls(second)
      yield* tenCalls
      second.kill("SIGTERM")
      yield* Effect.promise(() => second.exit)
      assert.strictEqual(calls(second), before + 10)
    }).pipe(Effect.provide(Client), Effect.runPromise)
  })
})
