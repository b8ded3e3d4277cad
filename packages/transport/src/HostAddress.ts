/** The address under which other machines reach this one, found as Kratos finds it. */
import { networkInterfaces } from "node:os"

const unspecified = new Set(["", "0.0.0.0", "::", "[::]"])

/** The host to put into a registry for a server that is bound to `host`: itself, or the first interface's IPv4 address that is not loopback, or loopback. */
export const advertised = (host: string): string => {
  if (!unspecified.has(host)) return host
  const candidates = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ address, internal }) => !internal && !address.startsWith("169.254.") && !address.toLowerCase().startsWith("fe80:"))
  return (candidates.find(({ family }) => family === "IPv4") ?? candidates[0])?.address ?? "127.0.0.1"
}
