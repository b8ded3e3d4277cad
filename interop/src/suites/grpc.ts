/**
 * gRPC's interop tests: the clients that gRPC's projects ship against our server, our client against their servers, in clear text and over TLS; and our client
 * against servers that misbehave.
 */
import * as Channels from "@effect-kratos/transport/Channels"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"
import * as Program from "../Program.ts"
import * as Foreign from "../testing/Foreign.ts"
import * as Misbehaviour from "../testing/Misbehaviour.ts"
import * as TestServiceCases from "../testing/TestServiceCases.ts"
import * as Suite from "./Suite.ts"

type Certificates = Foreign.TestCertificates | undefined

/** Our server as a process of its own. */
const ourServer = (certificates: Certificates): Effect.Effect<number, Program.ProgramError, Scope.Scope> =>
  Program.serve([
    process.execPath,
    fileURLToPath(new URL("../testing/server.ts", import.meta.url)),
    ...(certificates === undefined ? [] : [certificates.cert, certificates.key])
  ])

/** A client that runs one case and ends with 0 when it holds. */
export const foreignCase = (name: string, command: ReadonlyArray<string>): Effect.Effect<Suite.CaseResult> =>
  Suite.attempt(
    name,
    Effect.flatMap(Program.run(command), ({ code, stderr, stdout }) =>
      code === 0
        ? Effect.void
        : Effect.fail(
            new Program.ProgramError({ command: command.join(" "), message: `ended with ${code}: ${(stdout + stderr).slice(-500)}` })
          )
    ),
    60
  )

const foreignClient = (foreign: Foreign.Foreign, certificates: Certificates): Stream.Stream<Suite.CaseResult, unknown> =>
  Stream.unwrap(
    Effect.map(ourServer(certificates), (port) =>
      // each is a process of its own, most of whose time is its start
      Stream.mapEffect(Stream.fromIterable(foreign.cases), (name) => foreignCase(name, foreign.client(name, port, certificates)), {
        concurrency: 2
      })
    )
  )

const ourClient = (
  server: Effect.Effect<number, Program.ProgramError, Scope.Scope>,
  certificates: Certificates,
  lacks: Foreign.Foreign["lacks"] = {}
): Stream.Stream<Suite.CaseResult, unknown> =>
  Stream.unwrap(
    Effect.map(server, (port) => {
      const tls = certificates === undefined ? undefined : { ca: certificates.ca, serverName: Foreign.SERVER_NAME }
      const cases = TestServiceCases.cases({ target: `127.0.0.1:${port}`, tls })
      return Stream.mapEffect(Stream.fromIterable(Object.entries(cases)), ([name, run]) => {
        const why = lacks[name]
        return why === undefined
          ? Suite.attempt(name, Effect.provide(run, Channels.layerDirect), 60)
          : Effect.succeed(Suite.skip(name, why))
      })
    })
  )

const pair = (
  name: string,
  lacks: () => string | undefined,
  run: (certificates: Certificates) => Stream.Stream<Suite.CaseResult, unknown>
): ReadonlyArray<Suite.Part> => [
  { name, missing: lacks, run: run(undefined) },
  {
    name: `${name}, TLS`,
    missing: () => lacks() ?? (Foreign.certificates() === undefined ? Foreign.ruby.missing() : undefined),
    run: Stream.suspend(() => run(Foreign.certificates()))
  }
]

/** Its client against our server, our client against its server. */
const between = (foreign: Foreign.Foreign): ReadonlyArray<Suite.Part> =>
  pair(`our server, the client of ${foreign.name}`, foreign.missing, (certificates) => foreignClient(foreign, certificates)).concat(
    pair(`our client, the server of ${foreign.name}`, foreign.missing, (certificates) =>
      ourClient(
        Program.serveOn((port) => foreign.server(port, certificates)),
        certificates,
        foreign.lacks
      )
    )
  )

export const suite: Suite.Suite = {
  name: "grpc",
  about: "gRPC's interop tests, both ways",
  parts: [
    ...pair(
      "our client and server",
      () => undefined,
      (certificates) => ourClient(ourServer(certificates), certificates)
    ),
    ...Foreign.all.flatMap(between),
    {
      name: "our client, servers that misbehave",
      missing: Misbehaviour.missing,
      run: Stream.mapEffect(Stream.fromIterable(Misbehaviour.cases), ([name, run]) =>
        Suite.attempt(name, Effect.scoped(Effect.provide(run, Channels.layerDirect)))
      )
    }
  ]
}
