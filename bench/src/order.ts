/** The message of the codec bench, as ts-proto has it; the others differ in 64-bit integers. */
import { type Order, Status } from "./gen/ts-proto/bench/v1/load.ts"

export const order: Order = {
  id: "7c1e9d52-4f0a-4b61-9d52-3b8e61a07f44",
  customer: {
    name: "Ada Lovelace",
    email: "ada@analytical.example",
    address: { street: "12 St James's Square", city: "London", country: "United Kingdom", zip: 4021 }
  },
  items: [
    { sku: "EK-0001", title: "Difference engine, second-hand", quantity: 1, price: 1_749_900 },
    { sku: "EK-0417", title: "Punched cards", quantity: 250, price: 1995 },
    { sku: "EK-2209", title: "Brass gears, 40 teeth", quantity: 12, price: 32_050 }
  ],
  labels: { channel: "web", campaign: "autumn-2026", note: "leave it at the porters lodge" },
  status: Status.STATUS_OPEN,
  createdAt: 1_764_100_000_123,
  total: 18_336.5,
  paid: true,
  signature: Buffer.from("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "hex"),
  steps: [1, 2, 3, 5, 8, 13, 21, 340, 5600, 90_000]
}
