/** Registrations that cross each other, on a server in memory that answers when the test says so. */
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import { Network } from "@effect-kratos/transport/Network"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { EventType, Op, Xid } from "../src/internal/Records.ts"
import * as ZookeeperRegistry from "../src/ZookeeperRegistry.ts"
import * as MemoryServer from "./MemoryServer.ts"

const session = 7n
const path = "/microservices/greeter/1"
const instance = ServiceInstance.make({ id: "1", name: "greeter" })

const connect = Effect.gen(function* () {
  const { network, next } = yield* MemoryServer.make
  const context = yield* Layer.build(ZookeeperRegistry.layer({ endpoints: ["zk"] })).pipe(Effect.provideService(Network, network))
  const peer = yield* next
  yield* peer.welcome(session)
  const expect = (op: number) =>
    Effect.map(peer.asked, (asked) => {
      assert.strictEqual(asked.op, op)
      if (op !== Op.multi) assert.strictEqual(asked.path, path)
      return asked.xid
    })
  return {
    register: Context.get(context, Registrar).register,
    expect,
    /** Answers the next request, which has to be of that kind. */
    serve: (op: number, code: number, body?: Parameters<MemoryServer.Peer["answer"]>[2]) =>
      Effect.flatMap(expect(op), (xid) => peer.answer(xid, code, body)),
    answer: peer.answer
  }
})

describe("registrations on ZooKeeper", () => {
  it.effect("one that is interrupted before its answer takes away what it may have created", () =>
    Effect.gen(function* () {
      const { answer, expect, register, serve } = yield* connect
      const fiber = yield* Effect.forkChild(Effect.scoped(register(instance)), { startImmediately: true })
      yield* serve(Op.getData, -101)
      const create = yield* expect(Op.create)
      const end = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
      yield* answer(create, 0, (to) => to.text(path))
      yield* serve(Op.exists, 0, MemoryServer.stat(session))
      yield* serve(Op.remove, 0)
      yield* Fiber.join(end)
    }).pipe(Effect.scoped)
  )
  it.effect("one that ends leaves the node to the next one of this process that has come in between", () =>
    Effect.gen(function* () {
      const { answer, expect, register, serve } = yield* connect
      const scope = yield* Scope.make()
      const fiber = yield* Effect.forkChild(Scope.provide(register(instance), scope), { startImmediately: true })
      yield* serve(Op.getData, -101)
      yield* serve(Op.create, 0, (to) => to.text(path))
      yield* Fiber.join(fiber)
      // the watch over it
      yield* serve(Op.exists, 0, MemoryServer.stat(session))

      const end = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      const exists = yield* expect(Op.exists)
      const next = yield* Effect.forkChild(register({ ...instance, version: "v2" }), { startImmediately: true })
      const get = yield* expect(Op.getData)
      yield* answer(exists, 0, MemoryServer.stat(session))
      yield* Fiber.join(end)
      yield* answer(get, 0, (to) => MemoryServer.stat(session)(to.octets(new Uint8Array(2))))
      const replace = yield* expect(Op.multi)
      yield* answer(replace, 0, (to) =>
        to.int(Op.remove).bool(false).int(0).int(Op.create).bool(false).int(0).text(path).int(-1).bool(true).int(-1)
      )
      yield* Fiber.join(next)
      yield* serve(Op.exists, 0, MemoryServer.stat(session))
      // its own end takes it away
      yield* Effect.forkChild(Effect.andThen(serve(Op.exists, 0, MemoryServer.stat(session)), serve(Op.remove, 0)), {
        startImmediately: true
      })
    }).pipe(Effect.scoped)
  )
  it.effect("an earlier one hears of the end of the later one, also when the node was gone already", () =>
    Effect.gen(function* () {
      const { answer, expect, register, serve } = yield* connect
      const there = MemoryServer.stat(session)
      const earlier = yield* Effect.forkChild(register(instance), { startImmediately: true })
      yield* serve(Op.getData, -101)
      yield* serve(Op.create, 0, (to) => to.text(path))
      yield* Fiber.join(earlier)
      yield* serve(Op.exists, 0, there)
      const scope = yield* Scope.make()
      const later = yield* Effect.forkChild(Scope.provide(register(instance), scope), { startImmediately: true })
      yield* serve(Op.getData, 0, (to) => there(to.octets(new TextEncoder().encode(ServiceInstance.encode(instance)))))
      yield* Fiber.join(later)
      yield* serve(Op.exists, 0, there)

      // an operator deletes it, and both look
      yield* answer(Xid.event, 0, (to) => to.int(EventType.deleted).int(3).text(path))
      yield* serve(Op.exists, -101)
      yield* serve(Op.exists, -101)
      const create = yield* expect(Op.create)
      const end = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* answer(create, -110)
      yield* serve(Op.exists, -101)
      yield* Fiber.join(end)
      // it is the earlier one's turn
      yield* serve(Op.exists, -101)
      yield* serve(Op.create, 0, (to) => to.text(path))
      yield* serve(Op.exists, 0, there)
      yield* Effect.forkChild(Effect.andThen(serve(Op.exists, 0, there), serve(Op.remove, 0)), { startImmediately: true })
    }).pipe(Effect.scoped)
  )
})
