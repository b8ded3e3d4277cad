/** How addresses are written. */
import type { Address } from "./Network.ts"

/** The address as text: `host:port`, or the path of a Unix socket. */
export const text = (address: Address): string => address.path ?? format(address.host, address.port)

/** `host:port`, with IPv6 addresses in brackets. */
export const format = (host: string, port: number): string => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`)
