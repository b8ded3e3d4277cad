/** A library of one book, for those who read its documents and then call it. */
import { create } from "@bufbuild/protobuf"
import * as Call from "@effect-kratos/core/Call"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { BookLent, BookNotFound, Library } from "../gen/test/docs/v1/library_effect.ts"
import { BookSchema, Genre } from "../gen/test/docs/v1/library_pb.ts"

const moby = { name: "shelves/1/books/moby", title: "Moby-Dick", genre: Genre.FICTION, pages: 635, words: 206_052n }

export const LibraryLive = Library.layer({
  *getBook({ name }) {
    if (name !== moby.name) return yield* new BookNotFound({ message: `no ${name}`, metadata: { name } })
    return moby
  },
  *listBooks({ filter, labels, pageSize, pageToken, shelf }) {
    const call = yield* Call.Call
    const books = [{ ...moby, tags: filter?.tags ?? [], labels: { ...labels, shelf, transport: call.transport }, pages: pageSize }]
    return { books, nextPageToken: pageToken }
  },
  createBook: ({ book = create(BookSchema), bookId, shelf }) => {
    book.name = `${shelf}/books/${bookId}`
    return Effect.succeed(book)
  },
  updateBook: ({ book = create(BookSchema), updateMask }) => {
    book.tags = updateMask?.paths ?? []
    return Effect.succeed(book)
  },
  *deleteBook({ name }) {
    if (name !== moby.name) return yield* Effect.die(new Error(`secret: ${name}`))
    return {}
  },
  *lendBook({ bookId, days, to }) {
    if (to === "") return yield* new BookLent({ message: "to whom?" })
    if (days === 1000) return yield* Effect.never
    return { bookId, to }
  },
  watchLoans: () => Stream.make({ bookId: "moby", to: "a" }, { bookId: "moby", to: "b" }),
  *countBooks() {
    return yield* Effect.succeed({ books: 9_007_199_254_740_993n })
  },
  *secret() {
    return yield* Effect.succeed(moby)
  }
})
