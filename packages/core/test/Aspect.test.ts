import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Aspect from "../src/Aspect.ts"
import * as CallFixture from "./CallFixture.ts"

type Any = Aspect.Aspect<unknown, unknown>

/** What a stack does, in order. */
type Trace = Array<string>

const observer = (trace: Trace, name: string, replacement?: Cause.Cause<string>): Any =>
  Aspect.observe<string, string>({
    start: (call, services) => {
      trace.push(`${name}.start ${call.operation} ${Context.isContext(services)}`)
      return name
    },
    end: (call, exit, state) => {
      trace.push(`${name}.end ${call.method} ${show(exit)} ${state}`)
      return replacement
    }
  })

const wrap =
  (trace: Trace, name: string, change: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, unknown, R>): Any =>
  <A, E, R>(call: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => {
      trace.push(`${name}.wrap`)
      return Effect.onExit(change(call), (exit) => Effect.sync(() => trace.push(`${name}.unwrap ${show(exit)}`)))
    })

const show = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isSuccess(exit)
    ? `ok(${String(exit.value)})`
    : exit.cause.reasons
        .map((reason) =>
          Cause.isFailReason(reason)
            ? `fail(${String(reason.error)})`
            : Cause.isDieReason(reason)
              ? `die(${String(reason.defect)})`
              : "interrupt"
        )
        .join("+")

/** Builds a stack from numbers: leaves, or a condition around what follows. */
const build = (codes: ReadonlyArray<number>, trace: Trace): ReadonlyArray<Any> => {
  const stack: Array<Any> = []
  for (let i = 0; i < codes.length; i++) {
    const name = `a${i}`
    const inner = () => Aspect.compose(...build(codes.slice(i + 1, (i += 3)), trace))
    switch (codes[i]) {
      case 0:
      case 1:
        stack.push(observer(trace, name))
        break
      case 2:
        stack.push(observer(trace, name, Cause.fail(`by ${name}`)))
        break
      case 3:
        stack.push(observer(trace, name, Cause.die(`by ${name}`)))
        break
      case 4:
        stack.push(wrap(trace, name, (call) => call))
        break
      case 5:
        stack.push(
          wrap(
            trace,
            name,
            Effect.mapError((error) => `${String(error)} through ${name}`)
          )
        )
        break
      case 6:
        stack.push(wrap(trace, name, () => Effect.fail(`refused by ${name}`)))
        break
      case 7:
        stack.push(Aspect.identity)
        break
      case 12:
        stack.push(
          Aspect.observe<string, string>({
            start: () => {
              trace.push(`${name}.reject`)
              return Aspect.reject(`rejected by ${name}`)
            },
            end: () => {
              trace.push(`${name}.end must not happen`)
            }
          })
        )
        break
      case 8:
      case 9: {
        const matches = codes[i] === 8
        stack.push(Aspect.when({ _tag: "Method", matches: () => matches })(inner()))
        break
      }
      default: {
        const matches = codes[i] === 10
        stack.push(Aspect.when({ _tag: "Call", matches: (call) => call.peer !== "" && matches })(inner()))
      }
    }
  }
  return stack
}

const codes = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 }))).check(Schema.isMaxLength(12))

const handlers = [
  Effect.succeed("value"),
  Effect.fail("failure"),
  Effect.die("defect"),
  Effect.interrupt,
  Effect.failCause(Cause.combine(Cause.fail("both"), Cause.interrupt(7)))
]

const call = CallFixture.make()

const plain = (make: (trace: Trace) => Any, handler: Effect.Effect<string, string>) =>
  Effect.gen(function* () {
    const trace: Trace = []
    // the tests' aspects need nothing but the call
    const wrapped = make(trace)(handler) as Effect.Effect<string, unknown>
    const exit = yield* Effect.exit(CallFixture.run(call, wrapped))
    return [show(exit), ...trace]
  })

const compiled = (make: (trace: Trace) => Any, handler: Effect.Effect<string, string>) =>
  Effect.gen(function* () {
    const trace: Trace = []
    const exit = yield* CallFixture.runCompiled(call, make(trace), handler)
    return [show(exit), ...trace]
  })

describe("Aspect", () => {
  it.effect.prop("does the same compiled for a method as applied to an effect", [codes], ([codes]) =>
    Effect.gen(function* () {
      const make = (trace: Trace) => Aspect.compose(...build(codes, trace))
      for (const handler of handlers) assert.deepStrictEqual(yield* compiled(make, handler), yield* plain(make, handler))
    })
  )

  it.effect.prop("composes associatively", [codes, codes, codes], ([a, b, c]) =>
    Effect.gen(function* () {
      const flat = (trace: Trace) => Aspect.compose(...build(a, trace), ...build(b, trace), ...build(c, trace))
      const one = (codes: ReadonlyArray<number>, trace: Trace) => Aspect.compose(...build(codes, trace))
      const left = (trace: Trace) => Aspect.compose(Aspect.compose(one(a, trace), one(b, trace)), one(c, trace))
      const right = (trace: Trace) => Aspect.compose(one(a, trace), Aspect.compose(one(b, trace), one(c, trace)))
      for (const handler of handlers) {
        const expected = yield* plain(flat, handler)
        for (const make of [left, right]) {
          assert.deepStrictEqual(yield* plain(make, handler), expected)
          assert.deepStrictEqual(yield* compiled(make, handler), expected)
        }
      }
    })
  )

  it.effect("runs the first aspect outermost, and leaves nothing of identity", () =>
    Effect.gen(function* () {
      const stack = (trace: Trace) =>
        Aspect.compose(
          observer(trace, "a"),
          Aspect.identity,
          wrap(trace, "b", (call) => call),
          observer(trace, "c")
        )
      const start = "start /user.v1.Users/Get true"
      const expected = ["ok(v)", `a.${start}`, "b.wrap", `c.${start}`, "c.end Get ok(v) c", "b.unwrap ok(v)", "a.end Get ok(v) a"]
      assert.deepStrictEqual(yield* plain(stack, Effect.succeed("v")), expected)
      assert.deepStrictEqual(yield* compiled(stack, Effect.succeed("v")), expected)
      const effect = Effect.succeed("v")
      assert.strictEqual(Aspect.identity(effect), effect)
      assert.strictEqual(Aspect.compose()(effect), effect)
      assert.deepStrictEqual(Aspect.compile(Aspect.compose(Aspect.identity), call), { hooks: [], wrap: undefined })
    })
  )

  it.effect("replaces failures and defects, and neither successes nor interrupts", () =>
    Effect.gen(function* () {
      const stack = (trace: Trace) => observer(trace, "a", Cause.fail("other"))
      const first = (handler: Effect.Effect<string, string>) =>
        Effect.all([plain(stack, handler), compiled(stack, handler)]).pipe(Effect.map((both) => both.map(([exit]) => exit)))
      assert.deepStrictEqual(yield* first(Effect.fail("failure")), ["fail(other)", "fail(other)"])
      assert.deepStrictEqual(yield* first(Effect.die("defect")), ["fail(other)", "fail(other)"])
      assert.deepStrictEqual(yield* first(Effect.succeed("v")), ["ok(v)", "ok(v)"])
      assert.deepStrictEqual(yield* first(Effect.interrupt), ["interrupt", "interrupt"])
    })
  )

  it.effect("lets an observer see that its call was interrupted from outside", () =>
    Effect.gen(function* () {
      const trace: Trace = []
      const fiber = yield* Effect.forkChild(CallFixture.run(call, observer(trace, "a")(Effect.never)) as Effect.Effect<never>, {
        startImmediately: true
      })
      assert.lengthOf(trace, 1)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(trace.slice(1), ["a.end Get interrupt a"])
    })
  )

  it("keeps nothing of what a method rules out, and runs observers behind a test of the call without a fiber", () => {
    const trace: Trace = []
    const a = observer(trace, "a")
    const no = Aspect.when({ _tag: "Method", matches: () => false })(
      Aspect.compose(
        a,
        wrap(trace, "b", (call) => call)
      )
    )
    assert.deepStrictEqual(Aspect.compile(no, call), { hooks: [], wrap: undefined })
    const sometimes = Aspect.when({ _tag: "Call", matches: ({ peer }) => peer === "me" })(Aspect.compose(a, a))
    const { hooks, wrap: rest } = Aspect.compile(Aspect.compose(a, sometimes), call)
    assert.strictEqual(rest, undefined)
    assert.lengthOf(hooks, 2)
  })

  it.effect("lets aspects in front that only choose the context do so without a wrap, and wraps where they must", () =>
    Effect.gen(function* () {
      const Colour = Context.Reference<string>("test/Colour", { defaultValue: () => "none" })
      const stack = (choose: Aspect.ContextOf) => (trace: Trace) =>
        Aspect.compose(
          Aspect.contextual(
            wrap(trace, "w", (call) => Effect.provideService(call, Colour, "wrapped")),
            choose
          ),
          Aspect.observe({
            start: (_, services) => void trace.push(`start ${Context.get(services, Colour)}`),
            end: (_call, _exit, _state, services) => void trace.push(`end ${Context.get(services, Colour)}`)
          })
        )
      const handler = Effect.withFiber<string>((fiber) => Effect.succeed(fiber.getRef(Colour)))
      const chosen = stack((_, services) => Context.add(services, Colour, "chosen"))
      assert.deepStrictEqual(yield* compiled(chosen, handler), ["ok(chosen)", "start chosen", "end chosen"])
      const wrapped = ["ok(wrapped)", "w.wrap", "start wrapped", "end wrapped", "w.unwrap ok(wrapped)"]
      assert.deepStrictEqual(
        yield* compiled(
          stack(() => undefined),
          handler
        ),
        wrapped
      )
      const thrown = stack(() => {
        throw new Error("no context")
      })
      assert.deepStrictEqual(yield* compiled(thrown, handler), wrapped)
      assert.deepStrictEqual(yield* plain(chosen, handler), wrapped, "alone it is an aspect like any other")
      const behind = Aspect.compile(Aspect.compose(observer([], "o"), chosen([])), call)
      assert.notProperty(behind, "light", "only in front: an observer sees the context that it stands in")
    })
  )

  it.effect("makes one observer of neighbours inside a wrap", () =>
    Effect.gen(function* () {
      const steps = (count: number) => {
        const stack = Aspect.compose(
          wrap([], "w", (call) => call),
          ...Array.from({ length: count }, () => observer([], "o"))
        )
        const { wrap: inner } = Aspect.compile(stack, call)
        return CallFixture.run(call, inner!(Effect.withFiber((fiber) => Effect.succeed(stackDepth(fiber)))) as Effect.Effect<number>)
      }
      assert.strictEqual(yield* steps(5), yield* steps(1))
    })
  )

  it.effect("refuses a call at its start: nothing further in sees it, what is further out sees the failure", () =>
    Effect.gen(function* () {
      const refusal = (trace: Trace): Any =>
        Aspect.observe({ start: () => Aspect.reject("no"), end: () => void trace.push("must not happen") })
      const start = "start /user.v1.Users/Get true"
      const ran = Effect.die("the handler must not run")
      const stacks = [
        (trace: Trace) => Aspect.compose(observer(trace, "a"), refusal(trace), observer(trace, "b")),
        (trace: Trace) =>
          Aspect.when({ _tag: "Call", matches: () => true })(Aspect.compose(observer(trace, "a"), refusal(trace), observer(trace, "b")))
      ]
      for (const stack of stacks) {
        for (const run of [plain, compiled]) {
          assert.deepStrictEqual(yield* run(stack, ran), ["fail(no)", `a.${start}`, "a.end Get fail(no) a"])
        }
      }
      const replaced = (trace: Trace) => Aspect.compose(observer(trace, "a", Cause.fail("other")), refusal(trace))
      assert.strictEqual((yield* compiled(replaced, ran))[0], "fail(other)")
    })
  )

  it.effect("turns what a hook throws into a defect of the call", () =>
    Effect.gen(function* () {
      const boom = (): never => {
        throw "boom"
      }
      const inStart = Aspect.observe({ start: boom, end: () => undefined })
      const inEnd = Aspect.observe({ start: () => undefined, end: boom })
      for (const aspect of [
        inStart,
        inEnd,
        Aspect.compose(
          wrap([], "w", (call) => call),
          inEnd,
          inStart
        )
      ]) {
        assert.deepStrictEqual((yield* compiled(() => aspect, Effect.succeed("v")))[0], "die(boom)")
        assert.deepStrictEqual((yield* plain(() => aspect, Effect.succeed("v")))[0], "die(boom)")
      }
    })
  )

  it("adds up errors and needs", () => {
    class Claims extends Context.Service<Claims, { readonly subject: string }>()("test/Claims") {}
    const a: Aspect.Aspect<"A", Claims> = Aspect.identity
    const b: Aspect.Aspect<"B"> = Aspect.observe<number, "B">({ start: () => 1, end: () => Cause.fail("B" as const) })
    const c: Aspect.Aspect<"C"> = (call) => Effect.andThen(call, Effect.fail("C" as const))
    expectTypeOf(Aspect.compose(a, b)).toEqualTypeOf<Aspect.Aspect<"A" | "B", Claims>>()
    expectTypeOf(Aspect.compose(a, c)).toEqualTypeOf<Aspect.Aspect<"A" | "C", Claims>>()
    expectTypeOf(Aspect.compose()).toEqualTypeOf<Aspect.Aspect>()
    expectTypeOf(Aspect.compose(b)(Effect.succeed(1))).toEqualTypeOf<Effect.Effect<number, "B">>()
    expectTypeOf(Aspect.when({ _tag: "Method", matches: () => true })(a)).toEqualTypeOf<Aspect.Aspect<"A", Claims>>()
    // @ts-expect-error: an aspect that fails cannot stand for one that does not
    const quiet: Aspect.Aspect = b
    assert.isFunction(quiet)
  })
})

/** How many continuations wait for a fiber's current effect. */
const stackDepth = (fiber: Fiber.Fiber<unknown, unknown>): number =>
  (fiber as unknown as { readonly _stack: ReadonlyArray<unknown> })._stack.length
